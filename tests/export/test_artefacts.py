"""Files appear when they are proven, all of them, or not at all."""

import errno
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scdepth_tf.export import artefacts, export_tflite
from scdepth_tf.export.artefacts import Sample, export_verified
from scdepth_tf.export.metadata import read_model
from scdepth_tf.export.verify import LIMITS
from scdepth_tf.lite import PosePredictor, read_metadata
from scdepth_tf.nets import PoseNet
from tests.export.conftest import IMAGE_SIZE
from tests.small_depth_net import SmallDepthNet, frames, spread_logits


@pytest.fixture(scope="module")
def small_net() -> SmallDepthNet:
    depth_net = SmallDepthNet()
    images = np.stack(list(frames(4, IMAGE_SIZE))) / np.float32(255)
    spread_logits(depth_net.network, images)
    return depth_net


def samples(count=3, **changes) -> list[Sample]:
    images = list(frames(count + 1, IMAGE_SIZE, seed=1))
    truth = np.full(IMAGE_SIZE, 5.0, np.float32)
    return [
        Sample(f"a/{index}", images[index], images[index + 1], truth)
        for index in range(count)
    ]


def calibration():
    return frames(6, IMAGE_SIZE)


def test_several_files_and_a_report_in_one_go(small_net, tmp_path):
    schemes = ("float32", "float16", "dynamic", "int8")
    out = tmp_path / "new" / "phone"
    paths = export_verified(
        small_net, out, IMAGE_SIZE, schemes, calibration, samples()
    )
    assert [path.name for path in paths] == [
        f"depth_{scheme}.tflite" for scheme in schemes
    ]
    report = json.loads((out / "depth_report.json").read_text())
    for scheme, path, figures in zip(
        schemes, paths, report["files"], strict=True
    ):
        assert figures["scheme"] == scheme
        assert figures["path"] == path.name
        assert figures["truth_frames"] == 3
        assert figures["keras_truth_abs_rel"] > 0
        assert [m["num_threads"] for m in figures["measurements"]] == [1, 2]
        verified = read_metadata(path)["verified"]
        assert verified["log_depth_ratio"] == figures["log_depth_ratio"]
    page = (out / "depth_report.html").read_text()
    assert page.count("data:image/png") == 3 * (2 + 2 * len(schemes))
    assert 'src="http' not in page
    assert {path.name for path in out.iterdir()} == {
        *(path.name for path in paths),
        "depth_report.html",
        "depth_report.json",
    }


def broken(monkeypatch, change):
    """Exports whose network differs from the one verified against."""
    from scdepth_tf.export import tflite

    real = tflite.convert

    def convert(net, image_size):
        head = net.network.get_layer("logits")
        before = head.get_weights()
        head.set_weights(change(*before))
        try:
            return real(net, image_size)
        finally:
            head.set_weights(before)

    monkeypatch.setattr(tflite, "convert", convert)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kernel, bias: [kernel, bias + 0.5], "failed: mean .log depth"),
        (lambda kernel, bias: [0 * kernel, bias], "one depth everywhere"),
    ],
    ids=["far from Keras", "constant"],
)
def test_failing_file_leaves_nothing(
    small_net, tmp_path, monkeypatch, change, message
):
    broken(monkeypatch, change)
    out = tmp_path / "phone"
    with pytest.raises(ValueError, match=message) as caught:
        export_verified(
            small_net, out, IMAGE_SIZE, ["float32"], None, samples()
        )
    assert "\n" not in str(caught.value)
    assert "depth_float32.tflite" in str(caught.value)
    assert not out.exists()


def test_one_failing_file_keeps_the_others_back(
    small_net, tmp_path, monkeypatch
):
    out = tmp_path / "phone"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    monkeypatch.setitem(LIMITS, "int8", 1e-9)
    with pytest.raises(ValueError, match=r"depth_int8\.tflite failed"):
        export_verified(
            small_net,
            out,
            IMAGE_SIZE,
            ["float32", "int8"],
            calibration,
            samples(),
        )
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_output_that_is_not_finite_fails(small_net, tmp_path, monkeypatch):
    def predict(self, image):
        return np.full(IMAGE_SIZE, np.nan, np.float32)

    monkeypatch.setattr("scdepth_tf.lite.DepthPredictor.__call__", predict)
    blind = [sample._replace(truth=None) for sample in samples()]
    with pytest.raises(ValueError, match="not finite"):
        export_verified(
            small_net, tmp_path / "o", IMAGE_SIZE, ["float32"], None, blind
        )
    assert not (tmp_path / "o").exists()


def test_existing_file_is_refused_until_overwritten(small_net, tmp_path):
    path = tmp_path / "depth_float32.tflite"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="--overwrite"):
        export_verified(small_net, tmp_path, IMAGE_SIZE, ["float32"])
    assert path.read_bytes() == b"old"
    export_verified(
        small_net, tmp_path, IMAGE_SIZE, ["float32"], overwrite=True
    )
    assert read_metadata(path)["kind"] == "depth"


def test_full_disk_is_one_line_and_leaves_nothing(
    small_net, tmp_path, monkeypatch
):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    out = tmp_path / "phone"
    with pytest.raises(ValueError, match="No space left") as caught:
        export_verified(small_net, out, IMAGE_SIZE, ["float32"])
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_scheme_named_twice_or_unknown_is_refused_at_once(small_net, tmp_path):
    with pytest.raises(ValueError, match="twice"):
        artefacts.check_outputs(tmp_path, "depth", ["int8", "int8"], False)
    with pytest.raises(ValueError, match="did you mean int8"):
        artefacts.check_outputs(tmp_path, "depth", ["int-8"], False)


def test_no_scheme_is_refused(small_net, tmp_path):
    with pytest.raises(ValueError, match="names no scheme; give one or more"):
        export_verified(small_net, tmp_path / "out", IMAGE_SIZE, ())
    assert not (tmp_path / "out").exists()


def test_calibration_frames_may_be_one_array(small_net, tmp_path):
    images = np.stack(list(calibration()))
    one, other = (
        export_tflite(
            small_net,
            tmp_path / f"{name}.tflite",
            IMAGE_SIZE,
            "int8",
            calibration=given,
        )
        for name, given in (("array", images), ("frames", list(images)))
    )
    assert read_model(one) == read_model(other)


def test_what_a_killed_export_left_is_swept_away(small_net, tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (tmp_path / f".export.{ended.pid}.partial").mkdir()
    at_work = tmp_path / f".export.{os.getppid()}.partial"
    at_work.mkdir()
    export_verified(small_net, tmp_path, IMAGE_SIZE, ("float32",))
    assert {path.name for path in tmp_path.iterdir()} == {
        "depth_float32.tflite",
        at_work.name,
    }


def test_report_of_a_replaced_file_goes_with_it(small_net, tmp_path):
    export_verified(
        small_net, tmp_path, IMAGE_SIZE, ("float32",), samples=samples()
    )
    export_verified(small_net, tmp_path, IMAGE_SIZE, ("float16",))
    assert (tmp_path / "depth_report.json").exists()
    export_verified(
        small_net, tmp_path, IMAGE_SIZE, ("float32",), overwrite=True
    )
    assert not list(tmp_path.glob("depth_report.*"))


@pytest.mark.parametrize("encoder", ["optical_flow"])
def test_pose_file_sees_a_pair_and_gives_the_networks_motion(tmp_path, encoder):
    import keras

    keras.utils.set_random_seed(0)
    net = PoseNet(encoder)
    images = list(frames(7, IMAGE_SIZE))
    pairs = list(itertools.pairwise(images))
    paths = export_verified(
        net,
        tmp_path,
        IMAGE_SIZE,
        ["float32", "int8"],
        lambda: iter(pairs),
        samples(),
    )
    target, source = images[:2]
    pair = np.concatenate([target, source], axis=-1)[np.newaxis]
    expected = np.asarray(net(pair / np.float32(255)))[0]
    exact, integer = (PosePredictor(path)(target, source) for path in paths)
    np.testing.assert_allclose(exact, expected, atol=1e-4 * abs(expected).max())
    error = np.linalg.norm(integer - expected) / np.linalg.norm(expected)
    assert 0 < error < 0.1
    assert (tmp_path / "pose_report.html").is_file()
