import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from scdepth_tf.synthetic import (
    dataset,
    kitti_intrinsics,
    render_frame,
    write_streets,
)

SIZE = (32, 104)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two streets, by two processes, and what was said meanwhile."""
    ticks = []
    out = write_streets(
        tmp_path_factory.mktemp("data") / "streets",
        [2],
        [3],
        frames=2,
        image_size=SIZE,
        processes=2,
        progress=lambda done, total: ticks.append((done, total)),
    )
    return out, ticks


@pytest.fixture
def instant(monkeypatch, other_street):
    """`write_streets` in this process without waiting for new streets."""
    monkeypatch.setattr(dataset, "make_street", lambda *_: other_street)


def test_the_folder_has_the_layout_that_training_reads(written):
    out, _ = written
    frame_files = {
        name
        for k in range(2)
        for name in (f"{k:06d}.jpg", f"depth/{k:06d}.npz")
    }
    street = {*frame_files, "cam.txt", "poses.txt"}
    expected = {f"street_00{seed}/{name}" for seed in (2, 3) for name in street}
    assert set(digests(out)) == {*expected, "train.txt", "val.txt"}
    assert (out / "train.txt").read_text() == "street_002\n"
    assert (out / "val.txt").read_text() == "street_003\n"


def test_files_hold_what_they_say(written, other_street):
    out, _ = written
    street = other_street
    folder = out / "street_002"
    np.testing.assert_allclose(
        np.loadtxt(folder / "cam.txt"), kitti_intrinsics(SIZE), atol=1e-6
    )
    poses = np.loadtxt(folder / "poses.txt").reshape(2, 3, 4)
    np.testing.assert_allclose(poses[0], np.eye(3, 4), atol=1e-12)
    world_from_first = street.path.world_from_camera(0)
    for k, pose in enumerate(poses):
        np.testing.assert_allclose(
            (world_from_first @ np.vstack([pose, [0, 0, 0, 1]])),
            street.path.world_from_camera(k),
            atol=1e-7,
        )
        with Image.open(folder / f"{k:06d}.jpg") as picture:
            assert picture.size == SIZE[::-1]
        truth = render_frame(street, k, SIZE)
        with np.load(folder / "depth" / f"{k:06d}.npz") as stored:
            for name in ("depth", "instance"):
                values = getattr(truth, name)
                assert stored[name].dtype == values.dtype
                np.testing.assert_array_equal(stored[name], values)


def test_bytes_do_not_depend_on_the_number_of_processes(
    written, tmp_path, instant
):
    together, _ = written
    alone = write_streets(
        tmp_path / "alone", [2], [], frames=2, image_size=SIZE, processes=1
    )
    assert digests(alone / "street_002") == digests(together / "street_002")


def test_progress_counts_frames_up_to_all(written, tmp_path, instant):
    _, ticks = written
    assert ticks == sorted(set(ticks))
    assert ticks[-1] == (4, 4)
    ticks = []
    write_streets(
        tmp_path / "alone",
        [2],
        [3],
        frames=2,
        image_size=SIZE,
        processes=1,
        progress=lambda done, total: ticks.append((done, total)),
    )
    assert ticks == [(k, 4) for k in range(1, 5)]


def test_a_folder_with_contents_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="already has contents"):
        write_streets(tmp_path, [1], [2], frames=1, image_size=SIZE)
    assert digests(tmp_path).keys() == {"mine.txt"}


def test_an_empty_folder_is_filled(tmp_path, instant):
    out = tmp_path / "streets"
    out.mkdir()
    write_streets(out, [1], [], frames=1, image_size=SIZE, processes=1)
    assert (out / "street_001" / "000000.jpg").exists()
    assert not (out / "val.txt").exists()


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, instant):
    def fail(street, index, image_size):
        raise RuntimeError("out of paint")

    monkeypatch.setattr(dataset, "render_frame", fail)
    with pytest.raises(RuntimeError, match="out of paint"):
        write_streets(
            tmp_path / "streets",
            [1],
            [2],
            frames=1,
            image_size=SIZE,
            processes=1,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_fails_fails_the_call(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "street_name", lambda seed: f"\0{seed}")
    with pytest.raises(ValueError, match="null byte"):
        write_streets(
            tmp_path / "streets",
            [1],
            [2],
            frames=1,
            image_size=SIZE,
            processes=2,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_seed_cannot_be_seen_and_unseen(tmp_path):
    with pytest.raises(ValueError, match="seeds repeat"):
        write_streets(tmp_path / "streets", [1, 2], [2], frames=1)


def test_importing_the_renderer_leaves_tensorflow_alone():
    code = (
        "import sys, scdepth_tf.synthetic; "
        "sys.exit(bool({'tensorflow', 'keras', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_image_size_of_one_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="height, width"):
        write_streets(tmp_path / "streets", [1], [2], image_size=(128,))
