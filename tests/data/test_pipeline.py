import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from scdepth_tf import data
from scdepth_tf.config import DataConfig
from scdepth_tf.data import augment, images

CONFIG = DataConfig(image_size=(32, 64))
PLAIN = dataclasses.replace(CONFIG, flip=False, zoom=1.0, color_jitter=0.0)


@pytest.fixture
def scenes(make_scene):
    """Two scenes of 3 and 5 triplets; grey level 3·i says frame i."""
    make_scene("a", frames=5)
    return data.open_scenes(make_scene("b", frames=7).parent)


def take(dataset, batches):
    """The first batches, put together: dict of arrays [n, ...]."""
    found = list(dataset.take(batches).as_numpy_iterator())
    return {
        name: np.concatenate([batch[name] for batch in found])
        for name in found[0]
    }


def frame_indices(batches):
    """[n, 3] index of each frame in its scene, read from its grey level."""
    return np.rint(batches["frames"].mean(axis=(2, 3, 4)) * 255 / 3).astype(int)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_batches_keep_the_contract(scenes):
    for dataset in (
        data.training_dataset(scenes, CONFIG, 2),
        data.validation_dataset(scenes, CONFIG, 2),
    ):
        for name, spec in dataset.element_spec.items():
            tail = (3, 3) if name == "intrinsics" else (3, 32, 64, 3)
            assert spec.shape[1:] == tail
            assert spec.dtype == tf.float32
        batch = next(iter(dataset))
        assert set(batch) == {"frames", "jittered", "intrinsics"}
        for name in ("frames", "jittered"):
            assert batch[name].numpy().min() >= 0
            assert batch[name].numpy().max() <= 1


def test_validation_is_every_triplet_once_in_order(scenes):
    batches = take(data.validation_dataset(scenes, CONFIG, 3), -1)
    expected = [(item.target, *item.sources) for item in data.triplets(scenes)]
    np.testing.assert_array_equal(frame_indices(batches), expected)
    np.testing.assert_array_equal(batches["frames"], batches["jittered"])


def test_every_epoch_is_every_triplet_once_in_an_order_of_its_own(scenes):
    epochs = np.split(
        frame_indices(take(data.training_dataset(scenes, CONFIG, 4), 8)), 4
    )
    expected = sorted(
        (item.target, *item.sources) for item in data.triplets(scenes)
    )
    for epoch in epochs:
        assert sorted(map(tuple, epoch)) == expected
    assert len({tuple(map(tuple, epoch)) for epoch in epochs}) == 4


def test_batch_may_straddle_epochs_and_loses_nothing(scenes):
    one = take(data.training_dataset(scenes, CONFIG, 1, seed=3), 15)
    three = take(data.training_dataset(scenes, CONFIG, 3, seed=3), 5)
    assert_equal(one, three)


def test_same_seed_same_batches_other_seed_other_batches(scenes):
    def batches(seed):
        return take(data.training_dataset(scenes, CONFIG, 4, seed), 3)

    assert_equal(batches(1), batches(1))
    orders = {frame_indices(batches(seed)).tobytes() for seed in range(4)}
    zooms = {batches(seed)["intrinsics"].tobytes() for seed in range(4)}
    assert len(orders) == len(zooms) == 4


def test_global_seed_has_no_say(scenes):
    tf.random.set_seed(1)
    one = take(data.training_dataset(scenes, CONFIG, 4), 2)
    tf.random.set_seed(2)
    assert_equal(one, take(data.training_dataset(scenes, CONFIG, 4), 2))


def test_run_can_be_taken_up_at_any_batch(scenes):
    whole = data.training_dataset(scenes, CONFIG, 3, seed=5)
    later = data.training_dataset(scenes, CONFIG, 3, seed=5, first_batch=4)
    assert_equal(take(whole.skip(4), 3), take(later, 3))


def test_augmentation_differs_between_epochs_and_triplets(scenes):
    K = take(data.training_dataset(scenes, CONFIG, 8), 2)["intrinsics"]
    assert len(np.unique(K[:, 0, 0])) == 16
    assert len(np.unique(K[:, 1, 1])) == 16
    assert (K[:, 0, 0] >= 50).all()
    assert (K[:, 0, 0] <= 50 * 1.15).all()


def test_everything_off_is_the_resized_file(scenes):
    batches = take(data.training_dataset(scenes, PLAIN, 8), 1)
    np.testing.assert_array_equal(batches["frames"], batches["jittered"])
    for K in batches["intrinsics"]:
        np.testing.assert_allclose(K, scenes[0].intrinsics, atol=1e-5)
    assert np.ptp(batches["frames"], axis=(2, 3, 4)).max() < 1e-6


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_training_sees_the_pixels_that_prediction_sees(suffix, make_scene, rng):
    folder = make_scene(frames=3, suffix=suffix)
    for frame in folder.glob(f"*{suffix}"):
        coarse = Image.fromarray(
            rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)
        )
        coarse.resize((64, 32)).save(frame)
    (scene,) = data.open_scenes(folder)
    batch = take(data.validation_dataset([scene], PLAIN, 1), 1)
    for position, index in enumerate((1, 0, 2)):
        np.testing.assert_allclose(
            batch["frames"][0, position] * 255, scene.image(index), atol=1e-3
        )


def test_pillow_cuts_the_pixels_that_prediction_resizes(make_scene, rng):
    """`images.load_cut` against `augment.resample`, at any zoom and offset."""
    folder = make_scene(frames=3)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 31, 3), np.uint8))
    file = folder / "000000.png"
    coarse.resize((201, 77)).save(file)
    picture = tf.constant(data.load_image(file)[None])
    for zoom, offset in (((1, 1), (0, 0)), ((1.13, 1.02), (0.3, 0.9))):
        expected, _ = augment.resample(
            picture, tf.eye(3), (32, 64), tf.constant(zoom, tf.float32), offset
        )
        found = images.load_cut(file, (32, 64), zoom, offset)
        difference = found - expected[0].numpy() * 255
        assert np.abs(difference).max() < 1.5
        assert np.abs(difference).mean() < 0.5


def test_script_that_ends_with_an_iterator_alive_ends(make_scene):
    folder = make_scene(frames=9, size=(320, 640), suffix=".jpg")
    code = f"""
from scdepth_tf import data
from scdepth_tf.config import DataConfig
from scdepth_tf.data import augment, images
scenes = data.open_scenes({str(folder)!r})
batches = iter(data.training_dataset(scenes, DataConfig(), 4))
for _ in range(3):
    next(batches)
print("end of the script", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "end of the script\n"


def test_all_frames_of_a_triplet_are_changed_alike(make_scene, rng):
    folder = make_scene(frames=6)
    picture = Image.fromarray(rng.integers(0, 256, (32, 64, 3), np.uint8))
    for frame in folder.glob("*.png"):
        picture.save(frame)
    batches = take(
        data.training_dataset(data.open_scenes(folder), CONFIG, 4), 4
    )
    for name in ("frames", "jittered"):
        frames = batches[name]
        # The mean grey is a sum whose order the threads decide.
        np.testing.assert_allclose(frames[:, 1], frames[:, 0], atol=1e-6)
        np.testing.assert_allclose(frames[:, 2], frames[:, 0], atol=1e-6)
    assert np.ptp(batches["frames"][:, 0], axis=0).min() > 0
    difference = np.abs(batches["jittered"] - batches["frames"])
    assert (difference.mean(axis=(1, 2, 3, 4)) > 1e-3).all()


def test_augmented_images_agree_with_their_intrinsics(make_scene):
    """Red and green of the files are ramps; where a ramp has a value in the
    augmented image tells fx, cx, fy, cy and the flip."""
    folder = make_scene(frames=18, size=(96, 192))
    u, v = np.meshgrid(np.arange(192), np.arange(96))
    # As steep as bytes allow: each is rounded to a grey level.
    steep = np.array([255 / 191, 255 / 95])
    ramps = np.stack([u * steep[0], v * steep[1], 0 * u], axis=-1)
    ramps = np.rint(ramps).astype(np.uint8)
    for frame in folder.glob("*.png"):
        Image.fromarray(ramps).save(frame)
    K = np.array([[100.0, 0, 90], [0, 120, 40], [0, 0, 1]])
    np.savetxt(folder / "cam.txt", K)
    batches = take(
        data.training_dataset(data.open_scenes(folder), CONFIG, 16), 1
    )
    flips = 0
    for frames, found in zip(
        batches["frames"], batches["intrinsics"], strict=True
    ):
        target = frames[0, 2:-2, 2:-2] * 255
        columns = target[..., 0].mean(axis=0) / steep[0]  # u of the file
        rows = target[..., 1].mean(axis=1) / steep[1]  # v of the file
        x = (columns - K[0, 2]) / K[0, 0]
        if x[0] > x[-1]:
            flips += 1
            x = -x
        y = (rows - K[1, 2]) / K[1, 1]
        fx, cx = np.polyfit(x, np.arange(2, 62), 1)
        fy, cy = np.polyfit(y, np.arange(2, 30), 1)
        np.testing.assert_allclose(
            found[[0, 1, 0, 1], [0, 1, 2, 2]], [fx, fy, cx, cy], atol=0.1
        )
    assert 2 < flips < 14


def test_scenes_of_different_sizes_share_a_batch(make_scene):
    make_scene("small", frames=3)
    scenes = data.open_scenes(
        make_scene("wide", frames=3, size=(48, 128)).parent
    )
    batch = take(data.validation_dataset(scenes, PLAIN, 2), 1)
    np.testing.assert_allclose(batch["intrinsics"][0], scenes[0].intrinsics)
    np.testing.assert_allclose(
        batch["intrinsics"][1],
        [[25, 0, 15.5], [0, 50 * 2 / 3, 16 * 2 / 3 - 0.5], [0, 0, 1]],
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image_size": (100, 320)}, "100x320 .*multiples of 32.*96x320"),
        ({"image_size": (0, 320)}, "multiples of 32"),
        ({"zoom": 0.9}, "zoom is 0.9"),
        ({"color_jitter": 1.0}, "color_jitter is 1"),
        ({"color_jitter": -0.1}, "color_jitter is -0.1"),
        ({"stride": 3}, "a: 5 frames, but a stride of 3 needs 7"),
    ],
)
def test_impossible_configuration_is_refused(change, complaint, scenes):
    config = dataclasses.replace(CONFIG, **change)
    for dataset in (data.training_dataset, data.validation_dataset):
        with pytest.raises(ValueError, match=complaint):
            dataset(scenes, config, 2)


def test_empty_batch_is_refused(scenes):
    with pytest.raises(ValueError, match="batch_size is 0"):
        data.training_dataset(scenes, CONFIG, 0)


def test_frame_lost_during_training_is_found_by_name(scenes):
    scenes[0].frames[2].unlink()
    dataset = data.validation_dataset(scenes, CONFIG, 8)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"000002\.png"):
        next(iter(dataset))
    frames = [frame for scene in scenes for frame in scene.frames]
    (complaint,) = data.find_unreadable(frames)
    assert "000002.png: no such file" in complaint
