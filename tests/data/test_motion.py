import io
import itertools

import numpy as np
import pytest
from PIL import Image

from scdepth_tf import data
from scdepth_tf.data import images, motion
from scdepth_tf.data.motion import frame_change, is_static


@pytest.fixture
def picture(rng):
    """Texture at several scales, uint8 [240, 640, 3]."""
    total = np.zeros((240, 640, 3))
    for cells in (6, 12, 24, 48):
        coarse = rng.uniform(0, 255, (cells, cells * 8 // 3, 3)).astype("u1")
        total += np.asarray(Image.fromarray(coarse).resize((640, 240)))
    return (total / 4).astype(np.uint8)


def noisy(picture, sigma, rng):
    noise = rng.normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_repeated_frame_has_not_changed(picture):
    assert frame_change(picture, picture) == 0
    assert is_static(picture, picture.copy())


@pytest.mark.parametrize("sigma", [2, 5, 10])
def test_noise_alone_is_static(sigma, picture, rng):
    assert is_static(noisy(picture, sigma, rng), noisy(picture, sigma, rng))


def test_jpeg_artefacts_alone_are_static(picture):
    def compressed(quality):
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "JPEG", quality=quality)
        return np.asarray(Image.open(content))

    assert is_static(compressed(50), compressed(95))


@pytest.mark.parametrize("change", [-9, 9])
def test_brighter_frame_is_static(change, picture):
    """uint8 arithmetic would wrap around here."""
    brighter = np.clip(picture.astype(int) + change, 0, 255).astype(np.uint8)
    assert is_static(picture, brighter)


def test_car_crossing_a_standing_view_is_static(picture):
    crossing = picture.copy()
    crossing[120:220, 200:330] = 40
    assert is_static(picture, crossing)


@pytest.mark.parametrize("pixels", [2, 4, 8])
def test_panning_by_few_pixels_is_motion_of_about_that_size(pixels, picture):
    change = frame_change(picture[:, :-pixels], picture[:, pixels:])
    assert not is_static(picture[:, :-pixels], picture[:, pixels:])
    assert 0.3 * pixels / 640 < change < 2 * pixels / 640


def test_change_is_symmetric_and_blind_to_size_and_type(picture):
    a, b = picture[:, :-4], picture[:, 4:]
    assert frame_change(a, b) == pytest.approx(frame_change(b, a), rel=1e-6)
    small = [images_of(x).astype(float) for x in (a, b)]
    assert frame_change(*small) == pytest.approx(frame_change(a, b), rel=0.02)


def images_of(picture):
    return np.asarray(Image.fromarray(picture).convert("RGB"))


def test_sizes_must_agree(picture):
    with pytest.raises(ValueError, match="640x240 and 320x240 pixels"):
        frame_change(picture, picture[:, ::2])


def real_changes(shared_data, drive):
    (scene,) = data.open_scenes(
        shared_data / "kitti_raw", scenes=(f"{drive}_sync/image_02",)
    )
    small = [
        images.load_thumbnail(frame, motion.WIDTH) for frame in scene.frames
    ]
    return [frame_change(a, b) for a, b in itertools.pairwise(small)]


@pytest.mark.parametrize("drive", ["0023", "9001", "9002"])
def test_real_driving_is_kept(shared_data, drive):
    changes = np.array(real_changes(shared_data, drive))
    assert (changes >= motion.STATIC_BELOW).mean() > 0.95


def test_real_frame_with_noise_alone_is_dropped(shared_data, rng):
    folder = shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_9002_sync"
    for frame in sorted(folder.glob("image_02/data/*"))[::20]:
        picture = data.load_image(frame)
        assert is_static(noisy(picture, 5, rng), noisy(picture, 5, rng))


def test_drop_static_leaves_out_triplets_of_standing_frames(
    make_scene, picture
):
    folder = make_scene(frames=8)
    for index, frame in enumerate(sorted(folder.glob("*.png"))):
        shift = 8 * min(index, 4)  # stands from frame 4 on
        view = Image.fromarray(picture[:, shift : shift + 480])
        view.resize((64, 32)).save(frame)
    scenes = data.open_scenes(folder)
    found = data.triplets(scenes)
    kept = data.triplets_that_move(scenes, found)
    assert [item.target for item in found] == [1, 2, 3, 4, 5, 6]
    assert [item.target for item in kept] == [1, 2, 3]
