"""Does the image still agree with its intrinsics after every change?

The frames are pictures of the viewing rays themselves: red is X/Z and green is
Y/Z of the ray that a pixel looks along. Both are linear in the pixel, so that
interpolation reproduces them and any error is one of geometry.
"""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scdepth_tf.data import augment

GAIN = 50.0  # grey levels per unit of the ray

unit = st.floats(0, 1, width=32)


def rays(intrinsics, height, width):
    """X/Z and Y/Z of every pixel: [H, W, 2] float64."""
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    return (pixels @ np.linalg.inv(intrinsics).T)[..., :2]


def ray_picture(intrinsics, height, width):
    """One frame [1, H, W, 3] whose red and green encode the rays."""
    picture = np.zeros((1, height, width, 3), np.float32)
    picture[0, ..., :2] = 127.5 + GAIN * rays(intrinsics, height, width)
    return picture


@st.composite
def cameras(draw):
    """Intrinsics and size of an image of any shape, with a principal point
    that is not its centre."""
    height = draw(st.integers(40, 90))
    width = draw(st.integers(60, 200))
    focal = draw(st.floats(0.5, 1.5)) * width
    return (
        np.array(
            [
                [focal, 0, draw(st.floats(0.3, 0.7)) * width],
                [0, focal * draw(st.floats(0.8, 1.25)), 0.4 * height],
                [0, 0, 1],
            ]
        ),
        height,
        width,
    )


def pixel_error(frames, intrinsics, mirrored=False):
    """Distance [H, W, 2] in pixels between where pixels look and where their
    intrinsics say, away from the border, whose interpolation is cut off."""
    frames, intrinsics = np.array(frames), np.array(intrinsics, np.float64)
    seen = (frames[0, ..., :2] * 255 - 127.5) / GAIN
    if mirrored:
        seen[..., 0] *= -1
    said = rays(intrinsics, *seen.shape[:2])
    focal = intrinsics[[0, 1], [0, 1]]
    return ((seen - said) * focal)[4:-4, 4:-4]


@settings(max_examples=60, deadline=None)
@given(
    cameras(),
    st.sampled_from([(32, 64), (64, 96), (96, 160)]),
    st.tuples(unit, unit),
    st.tuples(unit, unit),
    st.booleans(),
)
def test_every_pixel_looks_where_its_intrinsics_say(
    camera, image_size, zoom, offset, flip
):
    intrinsics, height, width = camera
    frames, changed = augment.resample(
        tf.constant(ray_picture(intrinsics, height, width)),
        tf.constant(intrinsics, tf.float32),
        image_size,
        zoom=1 + 0.3 * tf.constant(zoom),
        offset=tf.constant(offset),
    )
    if flip:
        frames, changed = augment.mirror(frames, changed)
    assert frames.shape == (1, *image_size, 3)
    error = pixel_error(frames, changed, mirrored=flip)
    # Antialiasing weighs whole pixels, which wobbles about the exact place.
    assert np.abs(error).max() < 0.1
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.02


def test_the_error_would_show_a_lost_half_pixel():
    intrinsics = np.array([[100.0, 0, 70], [0, 100, 30], [0, 0, 1]])
    frames, changed = augment.resample(
        tf.constant(ray_picture(intrinsics, 64, 128)),
        tf.constant(intrinsics, tf.float32),
        (32, 64),
    )
    naive = intrinsics * [[0.5], [0.5], [1]]
    assert np.abs(pixel_error(frames, changed)).max() < 0.01
    assert np.abs(pixel_error(frames, naive)).min() > 0.2


def test_resampling_without_zoom_is_tensorflows_resize(rng):
    frames = rng.integers(0, 256, (3, 75, 190, 3), dtype=np.uint8)
    for size in ((32, 96), (96, 256)):
        resampled, _ = augment.resample(tf.constant(frames), tf.eye(3), size)
        resized = tf.image.resize(frames, size, antialias=True) / 255
        np.testing.assert_allclose(resampled, resized, atol=1e-6)


def test_resampling_to_the_same_size_changes_nothing(rng):
    frames = rng.integers(0, 256, (3, 32, 64, 3), dtype=np.uint8)
    K = np.array([[50, 0, 30], [0, 60, 15], [0, 0, 1]], np.float32)
    resampled, intrinsics = augment.resample(tf.constant(frames), K, (32, 64))
    np.testing.assert_allclose(resampled, frames / 255, atol=1e-6)
    np.testing.assert_allclose(intrinsics, K, atol=1e-6)


def test_largest_offset_ends_at_the_border():
    """The last column cut out is the last column of the zoomed image."""
    K = tf.constant([[50.0, 0, 30], [0, 50, 15], [0, 0, 1]])
    _, near = augment.resample(
        tf.zeros([1, 32, 64, 3]), K, (32, 64), (1.0, 1.25), (0.0, 0.0)
    )
    _, far = augment.resample(
        tf.zeros([1, 32, 64, 3]), K, (32, 64), (1.0, 1.25), (0.0, 1.0)
    )
    shift = np.array(near - far)
    np.testing.assert_allclose(shift[0, 2], 0.25 * 64, atol=1e-4)
    np.testing.assert_allclose(shift[1], 0, atol=1e-4)


def test_mirror_twice_is_nothing(rng):
    frames = tf.constant(rng.random((3, 8, 12, 3)), tf.float32)
    K = tf.constant([[50.0, 0, 3], [0, 60, 4], [0, 0, 1]])
    once = augment.mirror(frames, K)
    np.testing.assert_allclose(once[1][0, 2], 12 - 1 - 3)
    np.testing.assert_array_equal(once[0][:, :, 0], frames[:, :, -1])
    twice = augment.mirror(*once)
    np.testing.assert_array_equal(twice[0], frames)
    np.testing.assert_allclose(twice[1], K, atol=1e-5)


def test_neutral_colors_change_nothing(rng):
    frames = tf.constant(rng.random((3, 8, 12, 3)), tf.float32)
    jittered = augment.jitter_colors(frames, 0.2, tf.constant([0.5] * 3))
    np.testing.assert_allclose(jittered, frames, atol=1e-6)


def test_each_color_factor_does_what_its_name_says(rng):
    frames = tf.constant(0.3 + 0.3 * rng.random((3, 8, 12, 3)), tf.float32)
    grey = np.array(tf.image.rgb_to_grayscale(frames))
    strongest = {  # factor 1.2 for one, 1 for the others
        name: np.array(augment.jitter_colors(frames, 0.2, tf.constant(color)))
        for name, color in {
            "brightness": [1.0, 0.5, 0.5],
            "contrast": [0.5, 1.0, 0.5],
            "saturation": [0.5, 0.5, 1.0],
        }.items()
    }
    np.testing.assert_allclose(
        strongest["brightness"], 1.2 * np.array(frames), rtol=1e-5
    )
    np.testing.assert_allclose(
        strongest["contrast"] - grey.mean(),
        1.2 * (frames - grey.mean()),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        strongest["saturation"] - grey, 1.2 * (frames - grey), atol=1e-5
    )


def test_equal_colors_stay_equal_across_frames_of_unequal_mean():
    """What the warp compares must not depend on the rest of its frame."""
    frames = np.zeros((3, 8, 12, 3), np.float32)
    frames[1:] = 0.9
    frames[:, 2:4, 2:4] = (0.2, 0.5, 0.4)
    for color in ([0.9, 0.1, 0.3], [0.0, 1.0, 1.0]):
        jittered = np.array(
            augment.jitter_colors(frames, 0.4, tf.constant(color))
        )
        assert np.ptp(jittered[:, 2:4, 2:4], axis=(0, 1, 2)).max() == 0
        assert jittered.min() >= 0
        assert jittered.max() <= 1


def test_draws_fill_their_range_and_repeat():
    draws = [augment.draw(tf.constant([7, index])) for index in range(200)]
    again = augment.draw(tf.constant([7, 5]))
    for name in augment.Draw._fields:
        numbers = np.array([getattr(draw, name) for draw in draws])
        np.testing.assert_array_equal(numbers[5], getattr(again, name))
        assert numbers.min() < 0.05
        assert numbers.max() > 0.95
        assert abs(numbers.mean() - 0.5) < 0.08
