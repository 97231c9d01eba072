"""The on-device predictor: alone, exact, and clear about bad input."""

import importlib.abc
import json
import shutil
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import lite
from scdepth_tf.export import add_metadata, export_tflite
from scdepth_tf.export.metadata import read_model
from tests.small_depth_net import SmallDepthNet, frames, spread_logits

IMAGE_SIZE = (64, 96)


@pytest.fixture(scope="module")
def depth_net() -> SmallDepthNet:
    depth_net = SmallDepthNet()
    images = np.stack(list(frames(4, IMAGE_SIZE))) / np.float32(255)
    spread_logits(depth_net.network, images)
    return depth_net


@pytest.fixture(scope="module")
def model_file(depth_net, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "depth.tflite"
    return export_tflite(depth_net, path, IMAGE_SIZE)


@pytest.fixture
def broken_file(model_file, tmp_path):
    """A copy to spoil."""
    return shutil.copy(model_file, tmp_path / "broken.tflite")


ALONE = """
import importlib.abc, sys
import numpy as np

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow", "keras", "PIL", "scdepth_tf"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from lite import DepthPredictor

model, image, depth = sys.argv[1:]
np.save(depth, DepthPredictor(model)(np.load(image)))
"""


def test_predicts_with_numpy_and_the_runtime_alone(model_file, tmp_path):
    shutil.copy(lite.__file__, tmp_path / "lite.py")
    image = next(frames(1, (100, 130)))
    np.save(tmp_path / "image.npy", image)
    files = [model_file, tmp_path / "image.npy", tmp_path / "depth.npy"]
    subprocess.run(
        [sys.executable, "-c", ALONE, *files], check=True, cwd=tmp_path
    )
    np.testing.assert_array_equal(
        np.load(tmp_path / "depth.npy"), lite.DepthPredictor(model_file)(image)
    )


@pytest.mark.parametrize("image_size", [(64, 96), (100, 60), (375, 1242)])
def test_depth_is_the_networks_on_the_image_resized_by_tensorflow(
    depth_net, model_file, image_size
):
    image = next(frames(1, image_size))
    resized = tf.image.resize(image, IMAGE_SIZE, "bilinear", antialias=True)
    expected = depth_net(resized[tf.newaxis] / 255)[0, ..., 0]
    depth = lite.DepthPredictor(model_file)(image)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected, rtol=1e-3)


def test_depth_at_the_images_size_interpolates_disparity(model_file):
    predict = lite.DepthPredictor(model_file)
    image = next(frames(1, (150, 200)))
    disparity = 1 / predict(image)[..., np.newaxis]
    expected = tf.image.resize(disparity, (150, 200), "bilinear")[..., 0]
    depth = predict(image, resize_to_image=True)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, 1 / expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((37, 53), (64, 96)),
        ((128, 416), (64, 96)),
        ((375, 1242), (128, 416)),
        ((64, 97), (64, 96)),
        ((1, 1), (32, 32)),
        ((200, 33), (32, 160)),
    ],
)
def test_resize_is_tensorflows_antialiased_bilinear(rng, old, new):
    image = rng.uniform(0, 1, (*old, 3)).astype(np.float32)
    expected = tf.image.resize(image, new, "bilinear", antialias=True)
    np.testing.assert_allclose(lite.resize(image, new), expected, atol=1e-4)


def test_resize_to_the_same_size_changes_nothing(rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(lite.resize(image, (20, 30)), image)


def test_extreme_logits_give_finite_depth(model_file):
    predict = lite.DepthPredictor(model_file)
    disparity = predict._disparity(np.float32([-1e4, -100, 0, 100, 1e4]))
    np.testing.assert_allclose(disparity, [0.01, 0.01, 5.01, 10.01, 10.01])


def test_stream_gives_each_frames_own_depth(model_file):
    """Whatever buffers it reuses, and when the camera changes its size."""
    predict = lite.DepthPredictor(model_file)
    video = [next(frames(1, (150, 200), seed=i)) for i in range(2)]
    video += [next(frames(1, (80, 90))), next(frames(1, IMAGE_SIZE))]
    video += video[:1]
    for at_image in (False, True):
        alone = [
            lite.DepthPredictor(model_file)(frame, at_image) for frame in video
        ]
        stream = predict.stream(iter(video), resize_to_image=at_image)
        for expected, depth in zip(alone, stream, strict=True):
            np.testing.assert_array_equal(depth, expected)


def test_stream_takes_a_frame_only_when_its_depth_is_asked_for(model_file):
    taken = []

    def camera():
        for frame in frames(3, (70, 90)):
            taken.append(frame)
            yield frame

    stream = lite.DepthPredictor(model_file).stream(camera())
    for count in (1, 2, 3):
        next(stream)
        assert len(taken) == count


def test_answer_of_a_call_stays_when_others_follow(model_file):
    predict = lite.DepthPredictor(model_file)
    image, other = frames(2, (150, 200))
    for at_image in (False, True):
        depth = predict(image, resize_to_image=at_image)
        kept = depth.copy()
        predict(other, resize_to_image=at_image)
        np.testing.assert_array_equal(depth, kept)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((64, 96, 3), np.float32),
            r"uint8 .* got float32 \[64, 96, 3",
        ),
        (np.zeros((64, 96), np.uint8), r"got uint8 \[64, 96\]"),
        (np.zeros((64, 96, 4), np.uint8), r"got uint8 \[64, 96, 4\]"),
        (np.zeros((1, 64, 96, 3), np.uint8), r"got uint8 \[1, 64, 96, 3\]"),
        (np.zeros((0, 96, 3), np.uint8), r"got uint8 \[0, 96, 3\]"),
        ([[[0, 0, 0]]], "got list; numpy.asarray"),
    ],
)
def test_what_is_no_rgb_image_is_refused(model_file, image, message):
    with pytest.raises(ValueError, match=message):
        lite.DepthPredictor(model_file)(image)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no model file at .*none\.tfl"
    ):
        lite.DepthPredictor(tmp_path / "none.tflite")


def test_file_that_is_no_model_is_refused(tmp_path):
    for content in (b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04" + bytes(40)):
        (tmp_path / "model.tflite").write_bytes(content)
        with pytest.raises(ValueError, match="is not a TFLite model"):
            lite.DepthPredictor(tmp_path / "model.tflite")


def test_file_cut_short_is_refused(model_file, tmp_path):
    content = model_file.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="does not describe itself"):
        lite.DepthPredictor(tmp_path / "cut.tflite")


def test_damaged_file_is_named(model_file, tmp_path):
    content = bytearray(model_file.read_bytes())
    content[8:200] = bytes(192)
    (tmp_path / "damaged.tflite").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.tflite cannot be run"):
        lite.DepthPredictor(tmp_path / "damaged.tflite")
    with pytest.raises(ValueError, match="num_threads is 0; give 1 or more"):
        lite.DepthPredictor(model_file, num_threads=0)


def test_model_of_another_program_is_refused(broken_file):
    broken_file.write_bytes(read_model(broken_file))
    with pytest.raises(ValueError, match=f"no {lite.METADATA_NAME} inside"):
        lite.DepthPredictor(broken_file)


def test_description_of_a_later_format_is_refused(broken_file):
    add_metadata(broken_file, format=2)
    with pytest.raises(ValueError, match="format 2, this version reads"):
        lite.DepthPredictor(broken_file)


def test_description_that_is_not_json_is_refused(broken_file):
    model = read_model(broken_file)
    broken_file.write_bytes(model)
    with zipfile.ZipFile(broken_file, "a") as tail:
        tail.writestr(lite.METADATA_NAME, "{")
    with pytest.raises(ValueError, match="does not describe itself"):
        lite.DepthPredictor(broken_file)


def test_network_of_another_kind_is_refused(broken_file):
    add_metadata(broken_file, kind="pose")
    with pytest.raises(ValueError, match="holds a pose network, expected a"):
        lite.DepthPredictor(broken_file)


class Hide(importlib.abc.MetaPathFinder):
    """Makes packages look as if they were not installed."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages

    def find_spec(self, name, path=None, target=None):
        if name in self._packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def forget(monkeypatch, package: str) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)


def test_missing_runtime_says_what_to_install(model_file, monkeypatch):
    forget(monkeypatch, "ai_edge_litert")
    hide = Hide("ai_edge_litert", "tflite_runtime")
    monkeypatch.setattr(sys, "meta_path", [hide, *sys.meta_path])
    with pytest.raises(ImportError, match=r'pip install "scdepth-tf\[lite\]"'):
        lite.DepthPredictor(model_file)


def test_tflite_runtime_serves_where_it_alone_is_installed(
    model_file, monkeypatch
):
    from ai_edge_litert import interpreter

    image = next(frames(1, IMAGE_SIZE))
    expected = lite.DepthPredictor(model_file)(image)
    older = types.ModuleType("tflite_runtime")
    monkeypatch.setitem(sys.modules, "tflite_runtime", older)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    forget(monkeypatch, "ai_edge_litert")
    hide = Hide("ai_edge_litert")
    monkeypatch.setattr(sys, "meta_path", [hide, *sys.meta_path])
    depth = lite.DepthPredictor(model_file)(image)
    np.testing.assert_array_equal(depth, expected)


def test_broken_runtime_is_not_called_missing(
    model_file, monkeypatch, tmp_path
):
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text("import absent_dependency")
    forget(monkeypatch, "ai_edge_litert")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        lite.DepthPredictor(model_file)
    forget(monkeypatch, "ai_edge_litert")


def test_description_is_json_on_one_screen(model_file):
    assert len(json.dumps(lite.read_metadata(model_file), indent=1)) < 2000


def test_depth_is_in_metres_where_the_file_knows_the_scale(
    model_file, tmp_path
):
    (image,) = frames(1, IMAGE_SIZE)
    plain = lite.DepthPredictor(model_file)
    metric_file = shutil.copy(model_file, tmp_path / "metric.tflite")
    add_metadata(metric_file, scale={"metres_per_unit": 21.5})
    metric = lite.DepthPredictor(metric_file)
    assert (plain.metres_per_unit, metric.metres_per_unit) == (None, 21.5)
    np.testing.assert_allclose(metric(image), 21.5 * plain(image), rtol=1e-6)
