"""Rectified pairs: two images and a camera of their own."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scdepth_tf import data, evaluate
from scdepth_tf.config import DataConfig
from tests import streets
from tests.data.conftest import CAM_TXT, write_frames
from tests.data.test_preprocessed import write_depths

CONFIG = DataConfig(image_size=(32, 64))


@pytest.fixture
def rectified(tmp_path: Path) -> Path:
    """The folders of the published set: pairs train, video with depth
    validates; the test images are those of sc_depth_pl's `nyu`.
    """
    root = tmp_path / "rectified_nyu"
    streets.write_pairs(root / "kitchen_0001", 11)
    streets.write_pairs(root / "study_0002", 1)
    write_frames(root / "bath_0003", [f"{index:06d}.jpg" for index in range(3)])
    (root / "bath_0003" / "cam.txt").write_text(CAM_TXT)
    write_depths(root / "bath_0003" / "depth", [1.0, 2.5, 0.0])
    (root / "train.txt").write_text("kitchen_0001\nstudy_0002\n")
    (root / "val.txt").write_text("bath_0003\n")
    write_frames(tmp_path / "testing" / "color", ["0000.png"], (64, 128))
    write_depths(tmp_path / "testing" / "depth", [3.0])
    return root


def test_each_pair_has_two_frames_and_its_own_camera(rectified: Path):
    scenes = data.open_scenes(rectified, "train")
    names = ["kitchen_0001"] * 11 + ["study_0002"]
    assert [scene.name for scene in scenes] == names
    for index, scene in enumerate(scenes[:11]):
        assert [frame.name for frame in scene.frames] == [
            f"{index:06d}_0.jpg",
            f"{index:06d}_1.jpg",
        ]
        np.testing.assert_allclose(
            scene.intrinsics, streets.pair_intrinsics(index)
        )


def test_second_image_of_a_pair_is_the_source_of_the_first(rectified: Path):
    scenes = data.open_scenes(rectified, "train")
    assert data.triplets(scenes) == [
        data.Triplet(index, 0, (1,)) for index in range(12)
    ]


def test_scenes_that_validate_are_video_with_published_depth(rectified: Path):
    (scene,) = data.open_scenes(rectified, "val")
    assert len(scene) == 3
    assert [scene.depth(index).max() for index in range(3)] == [1.0, 2.5, 0.0]


@pytest.mark.parametrize("renamed", [False, True])
def test_test_images_are_those_of_the_set_with_video(rectified, renamed):
    """Beside the pairs, or with the pairs in place of training."""
    root = rectified
    if renamed:
        root = rectified.parent
        rectified.rename(root / "training")
    (test,) = data.open_scenes(root, "test")
    assert test.depth(0).max() == 3.0
    # The camera of the video, not one of those that were turned.
    np.testing.assert_allclose(test.intrinsics[0], [100, 0, 63.5])
    assert sum(scene.is_pair for scene in data.open_scenes(root)) == 12


def test_test_images_without_any_video_get_the_camera_of_a_pair(rectified):
    shutil.rmtree(rectified / "bath_0003")
    (rectified / "val.txt").unlink()
    (test,) = data.open_scenes(rectified, "test")
    assert test.intrinsics[0, 0] == pytest.approx(100.0)


def test_folder_of_pairs_alone_is_split_by_pairs(tmp_path: Path):
    folder = streets.write_pairs(tmp_path / "kitchen", 5)
    train, val = (data.open_scenes(folder, side) for side in ("train", "val"))
    assert [scene.frames[0].name for scene in val] == ["000004_0.jpg"]
    assert len(train) == 4
    lonely = streets.write_pairs(tmp_path / "lonely", 1)
    with pytest.raises(ValueError, match="lonely: one pair in the only scene"):
        data.open_scenes(lonely, "train")


def test_batches_have_the_intrinsics_of_their_pair(rectified: Path):
    scenes = data.open_scenes(rectified, "train")
    plain = dataclasses.replace(CONFIG, image_size=(64, 128))
    (batch,) = data.validation_dataset(scenes, plain, 12)
    assert batch["frames"].shape == (12, 2, 64, 128, 3)
    expected = [scene.intrinsics for scene in scenes]
    np.testing.assert_allclose(batch["intrinsics"], expected, rtol=1e-5)
    for position in (0, 1):
        np.testing.assert_allclose(
            batch["frames"][7, position] * 255,
            scenes[7].image(position),
            atol=1e-3,
        )


def test_augmented_pairs_agree_with_their_own_intrinsics(tmp_path: Path):
    """Red and green are ramps, blue tells the pair: where a ramp has a value
    in the augmented image tells fx, cx, fy, cy and the flip."""
    folder = tmp_path / "ramps"
    folder.mkdir()
    u, v = np.meshgrid(np.arange(192), np.arange(96))
    steep = np.array([255 / 191, 255 / 95])
    cameras = []
    for pair in range(8):
        ramps = np.stack([u * steep[0], v * steep[1], 0 * u + 30 * pair], -1)
        ramps = Image.fromarray(np.rint(ramps).astype(np.uint8))
        ramps.save(folder / f"{pair}_0.png")
        ramps.save(folder / f"{pair}_1.png")
        K = np.array([[100 + 9 * pair, 0, 90], [0, 120, 40 + pair], [0, 0, 1]])
        np.savetxt(folder / f"{pair}_cam.txt", K)
        cameras.append(K)
    dataset = data.training_dataset(
        data.open_scenes(folder),
        dataclasses.replace(CONFIG, color_jitter=0.0),
        24,
    )
    batch = next(dataset.as_numpy_iterator())
    seen = set()
    for frames, found in zip(batch["frames"], batch["intrinsics"], strict=True):
        np.testing.assert_array_equal(frames[0], frames[1])
        target = frames[0, 2:-2, 2:-2] * 255
        pair = round(target[..., 2].mean() / 30)
        K = cameras[pair]
        columns = target[..., 0].mean(axis=0) / steep[0]  # u of the file
        rows = target[..., 1].mean(axis=1) / steep[1]  # v of the file
        x = (columns - K[0, 2]) / K[0, 0]
        is_mirrored = bool(x[0] > x[-1])
        seen.add((pair, is_mirrored))
        fx, cx = np.polyfit(-x if is_mirrored else x, np.arange(2, 62), 1)
        y = (rows - K[1, 2]) / K[1, 1]
        fy, cy = np.polyfit(y, np.arange(2, 30), 1)
        np.testing.assert_allclose(
            found[[0, 1, 0, 1], [0, 1, 2, 2]], [fx, fy, cx, cy], atol=0.1
        )
    assert {pair for pair, _ in seen} == set(range(8))
    assert {is_mirrored for _, is_mirrored in seen} == {True, False}


def test_static_pairs_are_dropped_on_request(rectified: Path):
    kitchen = rectified / "kitchen_0001"
    shutil.copy(kitchen / "000003_0.jpg", kitchen / "000003_1.jpg")
    scenes = data.open_scenes(rectified, "train")
    moving = data.triplets_that_move(scenes, data.triplets(scenes))
    assert {item.scene for item in moving} == set(range(12)) - {3}


@pytest.mark.parametrize("lost", ["000003_cam.txt", "000003_1.jpg"])
def test_a_lost_file_is_told_before_pairs_shift(rectified: Path, lost):
    (rectified / "kitchen_0001" / lost).unlink()
    with pytest.raises(ValueError, match=r"kitchen_0001: 1[01] matrices"):
        data.open_scenes(rectified, "train")


def test_frames_without_any_camera_are_asked_for_cam_txt(tmp_path: Path):
    write_frames(tmp_path / "a", [f"{index}.png" for index in range(4)])
    (tmp_path / "a" / "poses.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"a/cam\.txt: not found"):
        data.open_scenes(tmp_path)


def test_stride_of_pairs_is_refused(rectified: Path):
    scenes = data.open_scenes(rectified, "train")
    with pytest.raises(ValueError, match="stride is 2, but kitchen_0001"):
        data.triplets(scenes, stride=2)


def test_pairs_and_video_do_not_share_batches(rectified: Path):
    scenes = data.open_scenes(rectified)
    with pytest.raises(
        ValueError, match=r"kitchen_0001 holds pairs .* bath_0003 is video"
    ):
        data.validation_dataset(scenes, CONFIG, 2)


def test_what_needs_video_refuses_pairs(rectified: Path):
    scene = data.open_scenes(rectified, "train")[0]
    with pytest.raises(ValueError, match="kitchen_0001 holds pairs"):
        evaluate.contiguous_parts(scene)
