import numpy as np
import pytest

from scdepth_tf import data
from scdepth_tf.evaluate import depth_samples, read_frame_list, read_sample
from tests import streets


@pytest.fixture
def scenes(tmp_path):
    return data.open_scenes(streets.write_folder(tmp_path / "data"))


def add_instances(scene, shape=None):
    """Beside its depth, each frame gets a mask: its left half moves."""
    for path in scene.depths:
        depth = np.load(path)
        instance = np.zeros(shape or depth.shape, np.uint8)
        instance[:, : instance.shape[1] // 2] = 2
        instance[:, -1] = 1  # a parked car
        np.savez(path.with_suffix(".npz"), depth=depth, instance=instance)


def test_every_frame_with_depth_is_a_sample(scenes):
    (scenes[0].depths[2]).unlink()
    reopened = data.open_scenes(scenes[0].frames[0].parent.parent)
    names = [read().name for read in depth_samples(reopened)]
    assert len(names) == 14
    assert "a/000002" not in names
    assert names[0] == "a/000000"


def test_scenes_without_depth_give_no_samples(scenes):
    assert depth_samples(scene.part(0, 0) for scene in scenes) == []


def test_moving_objects_are_those_of_code_two(scenes, tmp_path):
    add_instances(scenes[0])
    (scene, *_) = data.open_scenes(tmp_path / "data")
    sample = read_sample(scene, 1)
    width = sample.ground_truth.shape[1]
    assert sample.moving[:, : width // 2].all()
    assert not sample.moving[:, width // 2 :].any()
    assert read_sample(scenes[1], 0).moving is None


def test_mask_of_another_size_than_the_depth_is_named(scenes, tmp_path):
    add_instances(scenes[0], (7, 9))
    (scene, *_) = data.open_scenes(tmp_path / "data")
    with pytest.raises(ValueError, match=r"a/000003: .* 9x7 and the depth"):
        read_sample(scene, 3)


def test_listed_frames_are_taken_in_their_order(scenes, tmp_path):
    (tmp_path / "list.txt").write_text("b/000003.jpg\n\na/000001.png\n")
    only = read_frame_list(tmp_path / "list.txt")
    names = [read().name for read in depth_samples(scenes, only)]
    assert names == ["b/000003", "a/000001"]


def test_a_listed_frame_without_depth_is_a_sample_without_truth(
    scenes, tmp_path
):
    scenes[1].depths[3].unlink()
    reopened = data.open_scenes(tmp_path / "data")
    (read,) = depth_samples(reopened, ["b/000003.png"])
    assert read().ground_truth is None


def test_listed_frames_that_are_missing_are_counted(scenes):
    only = ["a/000001.png", "z/000001.png", "a/900.png"]
    with pytest.raises(FileNotFoundError, match=r"2 of 3 .*z/000001\.png"):
        depth_samples(scenes, only)


def test_a_name_is_not_matched_by_the_end_of_a_longer_one(scenes):
    with pytest.raises(FileNotFoundError):
        depth_samples(scenes, ["00001.png"])


def test_missing_or_empty_list_is_one_clear_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"list\.txt: no such file"):
        read_frame_list(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"list\.txt: names no frame"):
        read_frame_list(tmp_path / "list.txt")
