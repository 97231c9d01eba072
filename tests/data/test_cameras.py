"""Which scenes share a camera."""

import dataclasses

import numpy as np
import pytest

from scdepth_tf import data
from scdepth_tf.config import DataConfig


@pytest.fixture
def scenes(make_scene):
    """a and b with one camera, c with another."""
    for name in ("a", "b", "c"):
        folder = make_scene(name, frames=5)
    opened = data.open_scenes(folder.parent)
    other = opened[2].intrinsics * [[1.1], [1.1], [1]]
    return [*opened[:2], dataclasses.replace(opened[2], intrinsics=other)]


def test_equal_intrinsics_and_size_are_one_camera(scenes):
    cameras = data.group_cameras(scenes, "camera")
    assert [camera.scenes for camera in cameras] == [("a", "b"), ("c",)]
    assert data.camera_indices(cameras, scenes) == [0, 0, 1]
    np.testing.assert_array_equal(cameras[1].intrinsics, scenes[2].intrinsics)


def test_each_scene_can_be_a_camera_of_its_own(scenes):
    cameras = data.group_cameras(scenes, "scene")
    assert data.camera_indices(cameras, scenes) == [0, 1, 2]


def test_a_scene_split_in_time_is_one_camera(scenes):
    parts = [scenes[0].part(0, 3), scenes[0].part(3, 5)]
    for by in ("camera", "scene"):
        cameras = data.group_cameras(parts, by)
        assert [camera.scenes for camera in cameras] == [("a",)]


def test_batches_name_the_camera_of_each_triplet(scenes):
    config = DataConfig(image_size=(32, 64))
    dataset = data.validation_dataset(scenes, config, 9, cameras=[0, 0, 1])
    batch = next(iter(dataset))
    assert list(batch["camera"].numpy()) == [0] * 6 + [1] * 3


def test_shuffled_triplets_keep_their_camera(scenes):
    config = DataConfig(image_size=(32, 64), zoom=1.0)
    shuffled = data.training_dataset(scenes, config, 9, cameras=[0, 0, 1])
    batch = next(iter(shuffled))
    assert sorted(batch["camera"].numpy()) == [0] * 6 + [1] * 3
    focal = np.array([50.0, 55.0])[batch["camera"]]
    np.testing.assert_allclose(batch["intrinsics"][:, 0, 0], focal, rtol=1e-5)
