"""What runtimes and delegates make of the mobile network's files."""

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from scdepth_tf import lite
from scdepth_tf.export import compatibility, graph
from scdepth_tf.export.measure import measure
from scdepth_tf.export.metadata import describe, read_model, write_metadata
from scdepth_tf.export.quantize import SCHEMES, quantize
from scdepth_tf.export.tflite import export_tflite
from scdepth_tf.model import SCDepth
from scdepth_tf.synthetic import make_street, render_frame

OLD_PYTHON = os.environ.get("SCDEPTH_OLD_PYTHON")
"""One with tflite-runtime 2.14: this one, beside NumPy 1."""
if importlib.util.find_spec("tflite_runtime") and np.__version__[0] == "1":
    OLD_PYTHON = OLD_PYTHON or sys.executable

STREET_SIZE = (64, 192)
"""Height and width that the preset's networks see."""

GPU_DELEGATE = {
    "ADD": 1,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 1,
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "MAX_POOL_2D": 1,
    "MUL": 1,
    "PAD": 1,
    "RELU": 1,
    "RELU6": 1,
    "RESIZE_BILINEAR": 3,
    "SUB": 1,
}
"""Newest versions in "GPU delegates for LiteRT: supported ops" (Google AI
Edge documentation), as far as our networks could need them."""


@pytest.mark.parametrize("file", ["float_file", "int8_file"])
def test_mobile_network_is_one_part_for_xnnpack(request, file):
    path = request.getfixturevalue(file)
    measured = measure(path, 1)
    assert measured.partitions == 1
    assert measured.is_whole
    assert 0 < measured.median_ms <= measured.p90_ms
    assert 0 < measured.base_memory_mb < measured.peak_memory_mb


def test_partition_that_is_not_whole_is_told(float_file, tmp_path):
    """Dynamic range: XNNPACK leaves convolutions between its parts."""
    model, _ = quantize(read_model(float_file), "dynamic")
    path = tmp_path / "dynamic.tflite"
    path.write_bytes(model)
    measured = measure(path, 1)
    assert measured.partitions > 1
    assert not measured.is_whole


def test_gpu_delegate_takes_every_op_of_the_float_network(float_file):
    import tensorflow as tf

    model = read_model(float_file)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        tf.lite.experimental.Analyzer.analyze(
            model_content=model, gpu_compatibility=True
        )
    assert "looks compatible with GPU delegate" in said.getvalue()
    # The analyzer has been seen to accept everything: so by hand, too.
    for op, version in graph.versions(model).items():
        assert version <= GPU_DELEGATE.get(op, 0), op


def test_newer_op_than_the_old_runtime_knows_is_found(float_file, monkeypatch):
    model = read_model(float_file)
    assert not compatibility.too_new(model)
    older = {**compatibility.TFLITE_RUNTIME_2_14, "RESIZE_BILINEAR": 2}
    monkeypatch.setattr(compatibility, "TFLITE_RUNTIME_2_14", older)
    assert compatibility.too_new(model) == {"RESIZE_BILINEAR": 3}


def street_frames():
    street = make_street(304, frames=5)
    return [render_frame(street, i, STREET_SIZE).image for i in range(5)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The preset's depth network and its float32 file."""
    depth_net = SCDepth.from_preset("streets_lite0").depth_net
    path = tmp_path_factory.mktemp("trained") / "depth.tflite"
    return depth_net, export_tflite(depth_net, path, STREET_SIZE)


@pytest.mark.skipif(
    OLD_PYTHON is None,
    reason="set SCDEPTH_OLD_PYTHON to a Python 3.11 with tflite-runtime 2.14",
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_old_runtime_gives_the_same_depth(trained, tmp_path, scheme):
    """Of trained weights: kernels of int8 round in their own ways, and random
    weights make much of that.
    """
    depth_net, float_file = trained
    *calibration, image = street_frames()
    model, made = quantize(read_model(float_file), scheme, iter(calibration))
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    write_metadata(path, describe(depth_net, STREET_SIZE, made, {}))
    np.save(tmp_path / "image.npy", image)
    shutil.copy(lite.__file__, tmp_path / "lite.py")
    program = (
        "import lite, numpy as np, tflite_runtime.interpreter\n"
        "lite._runtime = lambda: tflite_runtime.interpreter  # of both\n"
        "predict = lite.DepthPredictor('model.tflite')\n"
        "np.save('depth.npy', predict(np.load('image.npy')))\n"
    )
    subprocess.run([OLD_PYTHON, "-c", program], cwd=tmp_path, check=True)
    expected = lite.DepthPredictor(path)(image)
    ratio = np.abs(np.log(np.load(tmp_path / "depth.npy") / expected))
    assert ratio.mean() < 0.05 * np.log(expected).std()
