"""A rendered street keeps the promises that training rests on."""

import numpy as np
import pytest

from scdepth_tf.synthetic import kitti_intrinsics, make_street, render_frame
from scdepth_tf.synthetic.shapes import MOVING, PARKED, STATIC

SIZE = (96, 312)


@pytest.fixture(scope="module")
def frames(street):
    return [render_frame(street, index, SIZE) for index in (9, 10)]


def camera_points(frame):
    """`[H, W, 3]` points of the camera frame that pixels show."""
    height, width = frame.depth.shape
    v, u = np.mgrid[:height, :width]
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    rays = pixels @ np.linalg.inv(frame.intrinsics).T
    return rays * frame.depth[..., None].astype(np.float64)


def bilinear(image, u, v):
    height, width = image.shape[:2]
    left = np.clip(np.floor(u).astype(int), 0, width - 2)
    top = np.clip(np.floor(v).astype(int), 0, height - 2)
    a, b = (u - left)[..., None], (v - top)[..., None]
    above = image[top, left] * (1 - a) + image[top, left + 1] * a
    below = image[top + 1, left] * (1 - a) + image[top + 1, left + 1] * a
    return above * (1 - b) + below * b


def warp(target, source):
    """Source image seen from the target; where it is valid and unoccluded."""
    source_from_target = (
        np.linalg.inv(source.world_from_camera) @ target.world_from_camera
    )
    points = camera_points(target) @ source_from_target[:3, :3].T
    points += source_from_target[:3, 3]
    z = np.maximum(points[..., 2], 1e-3)
    u, v, _ = np.moveaxis(points @ source.intrinsics.T, -1, 0) / z
    height, width = target.depth.shape
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    valid = (target.depth > 0) & (points[..., 2] > 0.1) & inside
    image = bilinear(source.image.astype(float), u, v)
    depth = bilinear(source.depth[..., None].astype(float), u, v)[..., 0]
    return image, valid & (np.abs(depth - z) < 0.05 * z)


def test_road_lies_in_the_plane_under_the_camera(street, frames):
    """Depth of the driving lane ahead = the ray's meeting with y = 0."""
    for frame in frames:
        height, width = frame.depth.shape
        v, u = np.mgrid[:height, :width]
        pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
        rotation = frame.world_from_camera[:3, :3]
        position = frame.world_from_camera[:3, 3]
        rays = pixels @ np.linalg.inv(frame.intrinsics).T @ rotation.T
        down = rays[..., 1]
        expected = -position[1] / np.where(down > 0.01, down, np.inf)
        ground = position + rays * expected[..., None]
        lane = street.bend(ground[..., 2]) + street.path.lane
        mine = (np.abs(ground[..., 0] - lane) < 0.7) & (expected > 0)
        mine &= (expected < 30) & (frame.instance == STATIC)
        assert mine.sum() > 200
        np.testing.assert_allclose(frame.depth[mine], expected[mine], rtol=1e-4)


def test_true_depth_and_pose_turn_the_next_frame_into_this_one(frames):
    target, source = frames
    warped, visible = warp(target, source)
    static = visible & (target.instance != MOVING)
    assert static.mean() > 0.5
    after = np.abs(warped - target.image)[static].mean()
    before = np.abs(source.image.astype(float) - target.image)[static].mean()
    assert after < 0.25 * before


def test_a_wrong_pose_does_not(frames):
    """The check above has power: half the motion leaves a large error."""
    target, source = frames
    halfway = source.world_from_camera.copy()
    halfway[:3, 3] += target.world_from_camera[:3, 3]
    halfway[:3, 3] /= 2
    right, visible = warp(target, source)
    wrong, _ = warp(
        target, type(source)(**{**vars(source), "world_from_camera": halfway})
    )
    static = visible & (target.instance != MOVING)
    error = np.abs(wrong - target.image)[static].mean()
    assert error > 2 * np.abs(right - target.image)[static].mean()


def test_moving_cars_are_not_where_their_depth_says(frames):
    target, source = frames
    warped, visible = warp(target, source)
    moving = visible & (target.instance == MOVING)
    static = visible & (target.instance != MOVING)
    assert moving.sum() > 100
    error = np.abs(warped - target.image)
    assert error[moving].mean() > 2 * error[static].mean()


def test_labels_tell_static_parked_and_moving(frames):
    for frame in frames:
        assert set(np.unique(frame.instance)) == {STATIC, PARKED, MOVING}
        assert (frame.instance == STATIC).mean() > 0.5


def test_depth_is_positive_but_for_the_sky(frames):
    for frame in frames:
        assert frame.depth.dtype == np.float32
        assert frame.depth.min() == 0
        assert frame.depth[frame.depth > 0].min() > 0.5
        assert frame.depth[-1].min() > 0
        sky = frame.depth == 0
        assert 0.005 < sky.mean() < 0.4
        assert sky[: sky.shape[0] // 2].sum() == sky.sum()


def test_pictures_are_well_exposed_and_textured(frames):
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert 60 < frame.image.mean() < 190
        assert frame.image.std() > 30
        flat = np.abs(np.diff(frame.image.astype(float), axis=1)).max(-1) == 0
        assert flat.mean() < 0.2


def test_depth_does_not_depend_on_the_image_size(street):
    """Every third pixel centre of a triple-sized image is a pixel centre;
    only the holes between leaves close at a distance that does depend."""
    small = render_frame(street, 0, (32, 104)).depth
    large = render_frame(street, 0, (96, 312)).depth[1::3, 1::3]
    assert np.isclose(small, large, rtol=1e-4).mean() > 0.98


def test_intrinsics_are_kittis_resized():
    full = kitti_intrinsics((375, 1242))
    np.testing.assert_allclose(full[0], [721.5377, 0, 609.5593])
    np.testing.assert_allclose(full[1], [0, 721.5377, 172.854])
    half = kitti_intrinsics((375, 621))
    # The centre of the left half-pixel lies at −0.25 of the new pixels.
    assert half[0, 2] == pytest.approx((609.5593 + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(half[1], full[1])


def test_camera_drives_on_along_the_street(street):
    poses = [street.path.world_from_camera(k) for k in range(20)]
    for pose in poses:
        rotation = pose[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert -pose[1, 3] == pytest.approx(1.65, abs=0.02)
    steps = np.linalg.norm(
        np.diff([pose[:3, 3] for pose in poses], axis=0), axis=1
    )
    assert (steps > 0.4).all() and (steps < 1.4).all()


def test_a_street_is_a_function_of_its_seed(street, other_street, frames):
    again = render_frame(make_street(street.seed, street.frames), 9, SIZE)
    np.testing.assert_array_equal(again.image, frames[0].image)
    np.testing.assert_array_equal(again.depth, frames[0].depth)
    np.testing.assert_array_equal(again.instance, frames[0].instance)
    other = render_frame(other_street, 1, SIZE)
    difference = np.abs(other.image.astype(float) - again.image).mean()
    assert difference > 20


def test_rendering_a_frame_leaves_the_street_as_it_was(street):
    before = render_frame(street, 3, (32, 104)).image
    render_frame(street, 12, (32, 104))
    np.testing.assert_array_equal(
        render_frame(street, 3, (32, 104)).image, before
    )


@pytest.mark.parametrize("name", ["street", "other_street"])
def test_every_quad_is_flat_and_looks_outward(name, request):
    street = request.getfixturevalue(name)
    quads, _, _ = street.at(1)
    reach = np.einsum(
        "ni,nki->nk", quads.normals, quads.corners - quads.corners[:, :1]
    )
    assert np.abs(reach).max() < 1e-8
    np.testing.assert_allclose(np.linalg.norm(quads.normals, axis=1), 1)
    assert (quads.normals[quads.ground][:, 1] == -1).all()


def test_frames_beyond_the_street_are_refused(street):
    with pytest.raises(ValueError, match=r"\[0, 20\).*got 20"):
        render_frame(street, 20, SIZE)


def test_negative_seeds_are_refused():
    with pytest.raises(ValueError, match="got seed -1"):
        make_street(-1)
