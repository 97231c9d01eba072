"""Networks as files: TFLite for devices, SavedModel for servers.

    export_tflite(depth_net, "depth.tflite", image_size=(256, 832))
    export_tflite(depth_net, "depth_int8.tflite", (256, 832),
                  quantize="int8", calibration=frames)
    print(verify("depth_int8.tflite", depth_net, other_frames))

    export_saved_model(model, "models/depth/1", image_size=(256, 832))

`scdepth_tf.lite` runs the .tflite files. Only `export_tflite` and
`export_saved_model` load TensorFlow.
"""

from scdepth_tf.export.metadata import add_metadata, write_metadata
from scdepth_tf.export.verify import VerifyReport, verify

__all__ = [
    "export_saved_model",
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
    if name == "export_saved_model":
        from scdepth_tf.export.saved_model import export_saved_model

        return export_saved_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
