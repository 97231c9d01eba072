"""What a .tflite file says about itself, in the zip tail of the file.

A zip archive may follow any other content, so the description travels inside
the model: interpreters read the flatbuffer from the front, every unzip tool
reads `scdepth.json` from the back. `scdepth_tf.lite.read_metadata` is the
reader. The keys of format 1:

    format        1
    kind          "depth" or "pose"
    producer      the program that wrote the file
    input         name (pose: names), size [H, W], layout, color, range of the
                  float input, resize (how an image gets to that size)
    output        name, head (formula from logits to depth), alpha, beta, unit;
                  pose: name, order, meaning, unit
    quantization  scheme; where it applies tool, calibration_frames, interface
    network       encoder, decoder, upsampling; pose: encoder
    scale         only where known: metres_per_unit, and how that was found
                  (`scdepth calibrate`); depth in metres is that times depth
    ...           what the caller adds: training_data, commit, metrics
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scdepth_tf
from scdepth_tf.files import replace_file
from scdepth_tf.lite import METADATA_FORMAT, METADATA_NAME, read_metadata

if TYPE_CHECKING:
    from scdepth_tf.nets import DepthNet, PoseNet


def describe(
    net: DepthNet | PoseNet,
    image_size: tuple[int, int],
    quantization: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The description of an exported network.

    Args:
        net: the exported network.
        image_size: height and width of its input.
        quantization: scheme and how it was made.
        extra: further keys of the caller (training_data, commit, metrics).

    Raises:
        ValueError: `extra` redefines a key of the format or is not JSON.
    """
    network = net.get_config()
    described = ("encoder", "decoder", "upsampling")
    description = {
        "format": METADATA_FORMAT,
        "kind": "pose" if is_pose(net) else "depth",
        "producer": f"scdepth_tf {scdepth_tf.__version__}",
        "input": {
            **(
                {"names": ["target", "source"]}
                if is_pose(net)
                else {"name": "image"}
            ),
            "size": list(image_size),
            "layout": "NHWC, one image",
            "color": "RGB",
            "range": [0.0, 1.0],
            "resize": "bilinear, antialiased, half-pixel centres",
        },
        "output": _pose_output() if is_pose(net) else _depth_output(net),
        "quantization": dict(quantization),
        "network": {key: network[key] for key in described if key in network},
    }
    redefined = description.keys() & extra.keys()
    if redefined:
        raise ValueError(
            "these keys describe the file itself and cannot be given:"
            f" {', '.join(sorted(redefined))}; rename them"
        )
    description.update(extra)
    _to_json(description)
    return description


def is_pose(net: DepthNet | PoseNet) -> bool:
    """Whether it sees pairs of images; else it is a depth network."""
    return hasattr(net, "pose_scale")


def _depth_output(net: DepthNet) -> dict[str, Any]:
    return {
        "name": "logits",
        "head": "disparity = alpha * sigmoid(logits) + beta;"
        " depth = 1 / disparity",
        "alpha": net.alpha,
        "beta": net.beta,
        "unit": "scene units: one unknown scale for all images",
    }


def _pose_output() -> dict[str, Any]:
    return {
        "name": "pose",
        "order": ["tx", "ty", "tz", "rx", "ry", "rz"],
        "meaning": "source_from_target; R = Rx(rx) @ Ry(ry) @ Rz(rz)",
        "unit": "translation in the depth network's scene units, rotation in"
        " radians",
    }


def write_metadata(path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Puts a description into a .tflite file, in place of any it has.

    The file is replaced in one step: it never lacks its model.

    Raises:
        ValueError: `metadata` is not JSON.
    """
    text = _to_json(metadata)
    model = read_model(path)
    with replace_file(path) as unfinished:
        unfinished.write_bytes(model)
        with zipfile.ZipFile(unfinished, "a") as tail:
            # A ZipInfo has a fixed date: equal exports are equal files.
            tail.writestr(zipfile.ZipInfo(METADATA_NAME), text)


def add_metadata(path: str | Path, **extra: Any) -> None:
    """Adds keys to the description in a file, `metrics=...` for example."""
    write_metadata(path, {**read_metadata(path), **extra})


def read_model(path: str | Path) -> bytes:
    """The flatbuffer of a .tflite file, without the zip tail."""
    path = Path(path)
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(path) as tail:
            return content[
                : min(entry.header_offset for entry in tail.filelist)
            ]
    except zipfile.BadZipFile:
        return content


def _to_json(metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps(metadata, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the metadata of a .tflite file must be JSON: {error}; give"
            " plain numbers, strings, lists and dicts"
        ) from error
