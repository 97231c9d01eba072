import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scdepth_tf.data import open_scenes
from tests.data.conftest import CAM_TXT, write_frames


def write_depths(folder: Path, metres: list[float]) -> None:
    """Maps of one depth each, in the unit of sc_depth_pl."""
    folder.mkdir(parents=True)
    for index, depth in enumerate(metres):
        codes = np.full((32, 64), round(depth * 5000), np.uint16)
        Image.fromarray(codes).save(folder / f"depth_{index}.png")


@pytest.fixture
def nyu(tmp_path: Path) -> Path:
    """A set with the folders and units of sc_depth_pl's `nyu`."""
    root = tmp_path / "nyu"
    for name, count in (("a", 4), ("b", 3), ("short", 2)):
        scene = root / "training" / name
        write_frames(scene, [f"{index:05d}.jpg" for index in range(count)])
        (scene / "cam.txt").write_text(CAM_TXT)
    write_depths(root / "training" / "b" / "depth", [1.0, 2.5, 0.0])
    (root / "training" / "train.txt").write_text("a\nshort\n")
    (root / "training" / "val.txt").write_text("b\n")
    write_frames(
        root / "testing" / "color", ["0000.png", "0001.png"], (64, 128)
    )
    write_depths(root / "testing" / "depth", [3.0, 9.0])
    return root


def test_published_depth_is_in_fifths_of_a_millimetre(nyu: Path):
    (scene,) = open_scenes(nyu, "val")
    depths = [scene.depth(index) for index in range(3)]
    assert [depth.max() for depth in depths] == [1.0, 2.5, 0.0]
    assert [depth.min() for depth in depths] == [1.0, 2.5, 0.0]


def test_published_test_images_are_a_split_of_their_own(nyu: Path):
    (scene,) = open_scenes(nyu, "test")
    assert [frame.name for frame in scene.frames] == ["0000.png", "0001.png"]
    assert scene.depth(0).max() == 3.0
    assert scene.depth(1).max() == 9.0
    seen = {
        s.name for split in ("train", "all") for s in open_scenes(nyu, split)
    }
    assert seen == {"a", "b"}


def test_test_images_get_the_training_camera_at_their_size(nyu: Path):
    (test,) = open_scenes(nyu, "test")
    # 64x128 in place of 32x64; pixel centres are at integers.
    np.testing.assert_allclose(
        test.intrinsics, [[100, 0, 63.5], [0, 100, 31.5], [0, 0, 1]]
    )


def test_scenes_too_short_for_a_triplet_are_passed_over(nyu: Path, caplog):
    assert [scene.name for scene in open_scenes(nyu, "train")] == ["a"]
    assert "1 of 3 scenes, which have fewer than 3 frames" in caplog.text


def test_training_folder_alone_reads_the_same_depth(nyu: Path):
    (scene,) = open_scenes(nyu / "training", "val")
    assert scene.depth(1).max() == 2.5


def test_depth_that_cannot_be_paired_is_told(nyu: Path):
    (nyu / "testing" / "depth" / "depth_1.png").unlink()
    with pytest.raises(ValueError, match="1 depth files for 2 images"):
        open_scenes(nyu, "test")


def test_missing_test_images_are_told(nyu: Path):
    shutil.rmtree(nyu / "testing")
    with pytest.raises(FileNotFoundError, match="no test images"):
        open_scenes(nyu, "test")
