"""Networks as files that run without TensorFlow.

    export_tflite(depth_net, "depth.tflite", image_size=(256, 832))
    export_tflite(depth_net, "depth_int8.tflite", (256, 832),
                  quantize="int8", calibration=frames)
    print(verify("depth_int8.tflite", depth_net, other_frames))

`scdepth_tf.lite` runs these files. Only `export_tflite` loads TensorFlow.
"""

from scdepth_tf.export.metadata import add_metadata, write_metadata
from scdepth_tf.export.verify import VerifyReport, verify

__all__ = [
    "export_tflite",
    "verify",
    "VerifyReport",
    "add_metadata",
    "write_metadata",
]


def __getattr__(name: str) -> object:
    if name == "export_tflite":
        from scdepth_tf.export.tflite import export_tflite

        return export_tflite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
