"""Which frames are due, kept, and begin a scene."""

import numpy as np
import pytest

from scdepth_tf.config import PrepareConfig
from scdepth_tf.prepare.motion import Picture
from scdepth_tf.prepare.selection import Clock, Selector
from tests.prepare import clips

INTRINSICS = np.array([[150.0, 0, 79.5], [0, 150.0, 47.5], [0, 0, 1]])
BLACK = np.zeros((clips.HEIGHT, clips.WIDTH, 3), np.uint8)


def due(times, rate):
    clock = Clock(rate)
    return [time for time in times if clock.is_due(time)]


def test_a_higher_rate_is_thinned_to_the_one_wanted():
    times = [round(index / 30, 3) for index in range(90)]
    np.testing.assert_allclose(due(times, 10), np.arange(30) / 10, atol=1e-3)


def test_an_uneven_ratio_keeps_the_mean_rate():
    times = np.arange(250) / 25
    assert len(due(times, 10)) == 100


def test_a_lower_rate_and_no_rate_keep_every_frame():
    times = list(np.arange(20) / 8)
    assert due(times, 10) == times
    assert due(times, 0) == times


def test_times_decide_where_the_rate_varies():
    times = [0.0, 0.02, 0.04, 0.5, 0.51, 0.6, 0.61, 2.0]
    assert due(times, 10) == [0.0, 0.5, 0.6, 2.0]


def test_a_clock_that_is_set_back_starts_anew():
    assert due([5.0, 5.05, 1.0, 1.05, 1.1], 10) == [5.0, 1.0, 1.1]


def judged(images, **settings):
    """Verdict or the reason for a new scene, of frames at 10 a second."""
    selector = Selector(PrepareConfig(**settings))
    found = []
    for index, image in enumerate(images):
        picture = None if image is None else Picture.of(image, INTRINSICS)
        decision = selector.judge(0, index, index / 10, picture)
        found.append(decision.new_scene or decision.verdict)
    return found


def test_steady_motion_is_one_scene():
    assert judged(clips.glide(8)) == ["start"] + ["kept"] * 7


def test_repeated_frames_are_dropped_and_the_scene_goes_on():
    images = [image for image in clips.glide(4) for _ in range(2)]
    assert judged(images) == ["start", "static"] + ["kept", "static"] * 3


def test_noise_is_no_motion(rng):
    noise = rng.normal(0, 4, (5, clips.HEIGHT, clips.WIDTH, 3))
    images = (clips.view(0) + noise).clip(0, 255).astype(np.uint8)
    assert judged(images) == ["start"] + ["static"] * 4


def test_pure_noise_makes_no_scene_of_three(rng):
    noise = rng.integers(0, 255, (6, clips.HEIGHT, clips.WIDTH, 3), np.uint8)
    assert "kept" not in judged(noise)


def test_slow_motion_adds_up():
    images = [clips.view(index) for index in range(30)]
    found = judged(images, min_motion=2.0)
    assert 5 <= found.count("kept") <= 9
    assert set(found) == {"start", "kept", "static"}


def test_waiting_long_for_parallax_ends_no_scene():
    images = []
    for index in range(60):
        image = clips.view(index).copy()
        image[48:] = clips.view(3 * index, seed=1)[48:]  # something near
        images.append(image)
    found = judged(images, min_parallax=7.0)
    assert 2 <= found.count("kept") <= 5
    assert "gap" not in found


def test_a_long_stop_ends_the_scene_and_a_short_one_does_not():
    drive = clips.glide(8)
    short = [*drive[:4], *[drive[3]] * 5, *drive[4:]]
    long = [*drive[:4], *[drive[3]] * 15, *drive[4:]]
    assert "gap" not in judged(short)
    assert judged(long)[19] == "gap"


def test_a_cut_begins_a_scene():
    found = judged([*clips.glide(4), *clips.glide(4, seed=1)])
    assert found == ["start", *["kept"] * 3, "cut", *["kept"] * 3]


def test_black_frames_are_dropped_and_a_fade_is_a_cut():
    found = judged([*clips.glide(3), BLACK, BLACK, *clips.glide(3, seed=1)])
    assert found[3:6] == ["featureless", "featureless", "cut"]


def test_damaged_frames_are_dropped():
    images = clips.glide(5)
    images[2] = None
    assert judged(images) == ["start", "kept", "damaged", "kept", "kept"]


def test_another_file_begins_a_scene():
    selector = Selector(PrepareConfig())
    pictures = [Picture.of(image, INTRINSICS) for image in clips.glide(2)]
    selector.judge(0, 0, 0.0, pictures[0])
    assert selector.judge(1, 0, 0.0, pictures[1]).new_scene == "next file"


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_a_turning_camera_is_kept_only_without_a_least_parallax(least):
    import cv2

    images = []
    for index in range(5):
        rotation, _ = cv2.Rodrigues(np.array([0, 0.02 * index, 0]))
        homography = INTRINSICS @ rotation @ np.linalg.inv(INTRINSICS)
        image = clips.view(200, size=(clips.HEIGHT, clips.WIDTH))
        images.append(
            cv2.warpPerspective(image, homography, image.shape[1::-1])
        )
    expected = "parallax" if least else "kept"
    assert judged(images, min_parallax=least)[1:] == [expected] * 4
