import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("tensorflow_datasets")

import tfds_kitti
from scdepth_tf import data, evaluate
from scdepth_tf.config import DataConfig
from tests.tfds_kitti import dummies
from tests.tfds_kitti.conftest import build  # noqa: F401  a fixture

CONFIG = DataConfig(image_size=(32, 96))


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    return dummies.write_scenes(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def packed(build, footage, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("data")
    builder = build(tfds_kitti.VideoSequences, footage, folder)
    return f"tfds:{builder.data_dir}"


def take(dataset, batches):
    return list(dataset.take(batches).as_numpy_iterator())


def assert_equal(one, other):
    for batch, reference in zip(one, other, strict=True):
        assert batch.keys() == reference.keys()
        for name, values in batch.items():
            np.testing.assert_array_equal(values, reference[name])


@pytest.mark.parametrize("split", ["train", "val", "all"])
def test_scenes_are_those_of_the_folder(split, packed, footage):
    stored = data.open_scenes(packed, split)
    scenes = data.open_scenes(footage, split)
    assert {scene.name for scene in stored} == {scene.name for scene in scenes}
    originals = {scene.name: scene for scene in scenes}
    for scene in stored:
        original = originals[scene.name]
        assert len(scene) == len(original) == 40  # in examples of 32 and 8
        assert scene.image_size == original.image_size
        assert scene.frame_numbers == tuple(range(40))
        assert scene.poses is scene.timestamps is scene.targets is None
        np.testing.assert_array_equal(scene.intrinsics, original.intrinsics)
        np.testing.assert_array_equal(scene.image(39), original.image(39))
        np.testing.assert_array_equal(scene.depth(3), original.depth(3))
        assert scene.depth(4) is None


def test_batches_are_those_of_the_folder(packed, footage):
    """The same triplets, order and augmentation, to the last bit."""
    stored, scenes = (
        data.open_scenes(path, "train") for path in (packed, footage)
    )
    assert_equal(
        take(data.training_dataset(stored, CONFIG, 4, seed=3), 3),
        take(data.training_dataset(scenes, CONFIG, 4, seed=3), 3),
    )
    assert_equal(
        take(data.validation_dataset(stored, CONFIG, 7), 11),
        take(data.validation_dataset(scenes, CONFIG, 7), 11),
    )


def test_cache_changes_nothing_but_where_frames_come_from(packed, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(packed.removeprefix("tfds:"), folder)
    scenes = data.open_scenes(f"tfds:{folder}", "val")
    cached = data.training_dataset(
        scenes, dataclasses.replace(CONFIG, cache=True), 4
    )
    expected = take(data.training_dataset(scenes, CONFIG, 4), 2)
    shutil.rmtree(folder)
    assert_equal(take(cached, 2), expected)


def test_batches_of_workers_together_are_those_of_one(packed):
    scenes = data.open_scenes(packed, "train")
    one = take(data.training_dataset(scenes, CONFIG, 6, seed=1), 3)
    workers = [
        take(
            data.training_dataset(
                scenes,
                CONFIG,
                2,
                seed=1,
                input_context=tf.distribute.InputContext(3, worker, 3),
            ),
            3,
        )
        for worker in range(3)
    ]
    for whole, *parts in zip(one, *workers, strict=True):
        for name, values in whole.items():
            together = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(together, values)


def test_strategy_distributes_with_the_input_context(packed):
    scenes = data.open_scenes(packed, "val")
    strategy = tf.distribute.get_strategy()
    distributed = strategy.distribute_datasets_from_function(
        lambda context: data.training_dataset(
            scenes, CONFIG, 4, input_context=context
        )
    )
    expected = take(data.training_dataset(scenes, CONFIG, 4), 1)
    assert_equal(
        [tf.nest.map_structure(np.array, next(iter(distributed)))], expected
    )


def test_early_batches_mix_scenes(packed):
    """Not one scene after the other: the first quarter has all of them."""
    scenes = data.open_scenes(packed, "all")
    marked = [
        dataclasses.replace(scene, intrinsics=scene.intrinsics + index * CX)
        for index, scene in enumerate(scenes)
    ]
    plain = dataclasses.replace(CONFIG, flip=False, zoom=1.0)
    batches = take(data.training_dataset(marked, plain, 4), 7)
    of_scene = np.concatenate([b["intrinsics"][:, 0, 2] for b in batches])
    counts = np.unique(of_scene.round(), return_counts=True)[1]
    assert len(counts) == len(scenes)
    assert counts.min() >= 4


CX = np.array([[0, 0, 5.0], [0, 0, 0], [0, 0, 0]])


def test_evaluation_reads_packed_ground_truth(packed):
    samples = evaluate.depth_samples(data.open_scenes(packed, "all"))
    assert len(samples) == 3
    for sample in samples:
        assert sample().name.endswith("/0000000003")
        assert (sample().ground_truth == 7.5).all()


def test_dataset_without_val_holds_recordings_out(
    build,  # noqa: F811
    tmp_path,
):
    root = dummies.write_scenes(tmp_path / "own", scenes=1, frames=12)
    builder = build(tfds_kitti.VideoSequences, root, tmp_path / "data")
    name = f"tfds:{builder.data_dir}"
    (train,), (val,) = (data.open_scenes(name, s) for s in ("train", "val"))
    assert train.frame_numbers == tuple(range(9))
    assert val.frame_numbers == (9, 10, 11)


@pytest.mark.parametrize(
    ("name", "split", "complaint"),
    [
        ("tfds:kitti_raw/9x9", "all", "tfds:kitti_raw/9x9: no such dataset"),
        ("tfds:nothing", "all", "no such dataset"),
        ("packed", "test", "has no split test; it has train, val"),
    ],
)
def test_what_is_not_there_is_named(
    name, split, complaint, packed, monkeypatch, tmp_path
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    name = packed if name == "packed" else name
    with pytest.raises((FileNotFoundError, ValueError), match=complaint):
        data.open_scenes(name, split)


def test_damaged_shard_is_named(packed, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(packed.removeprefix("tfds:"), folder)
    (shard,) = folder.glob("*train*")
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"train.*not a whole TFRecord"):
        data.open_scenes(f"tfds:{folder}")


def test_names_hold_in_another_folder(packed, monkeypatch, tmp_path):
    folder = packed.removeprefix("tfds:")
    monkeypatch.chdir(f"{folder}/..")
    assert data.absolute(f"tfds:{folder.rpartition('/')[2]}") == packed
    assert data.absolute("tfds:kitti_raw/full") == "tfds:kitti_raw/full"
    assert data.absolute(".") == folder.rpartition("/")[0]


def test_description_says_nothing_of_where_data_lie(packed):
    assert data.short_name(packed) == "video_sequences/full/1.0.0"
    assert data.short_name("tfds:kitti_raw/full") == "kitti_raw/full"
    assert data.short_name("/home/me/kitti_raw") == "kitti_raw"
