"""What runtimes and delegates make of the mobile network's files."""

import contextlib
import importlib.util
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from scdepth_tf.export import compatibility, graph
from scdepth_tf.export.measure import measure
from scdepth_tf.export.metadata import read_model
from scdepth_tf.export.quantize import quantize

OLD_PYTHON = os.environ.get("SCDEPTH_OLD_PYTHON")
"""One with tflite-runtime 2.14: this one, beside NumPy 1."""
if importlib.util.find_spec("tflite_runtime") and np.__version__[0] == "1":
    OLD_PYTHON = OLD_PYTHON or sys.executable

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


@pytest.mark.skipif(
    OLD_PYTHON is None,
    reason="set SCDEPTH_OLD_PYTHON to a Python 3.11 with tflite-runtime 2.14",
)
@pytest.mark.parametrize(
    "scheme", ["float32", "float16", "dynamic", "int8", "int16x8"]
)
def test_old_runtime_gives_the_same_logits(float_file, tmp_path, scheme):
    from ai_edge_litert.interpreter import Interpreter

    from tests.small_depth_net import frames

    size = (64, 96)
    model, _ = quantize(read_model(float_file), scheme, frames(4, size))
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    image = next(frames(1, size, seed=1))[np.newaxis] / np.float32(255)
    np.save(tmp_path / "image.npy", image)
    program = (
        "import sys, numpy as np\n"
        "from tflite_runtime.interpreter import Interpreter\n"
        "folder = sys.argv[1]\n"
        "run = Interpreter(folder + '/model.tflite').get_signature_runner()\n"
        "answer = run(image=np.load(folder + '/image.npy'))['logits']\n"
        "np.save(folder + '/logits.npy', answer)\n"
    )
    subprocess.run(
        [OLD_PYTHON, "-c", program, str(tmp_path)],
        check=True,
    )
    run = Interpreter(model_content=model).get_signature_runner()
    expected = run(image=image)["logits"]
    difference = np.abs(np.load(tmp_path / "logits.npy") - expected)
    assert difference.mean() < 0.05 * expected.std()
