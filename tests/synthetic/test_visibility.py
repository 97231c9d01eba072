"""Ray casting against closed forms worked out one ray at a time."""

import numpy as np
import pytest

from scdepth_tf.synthetic import shapes
from scdepth_tf.synthetic.shapes import Ball
from scdepth_tf.synthetic.textures import AtlasBuilder
from scdepth_tf.synthetic.visibility import first_hits


@pytest.fixture(scope="module")
def atlas():
    builder = AtlasBuilder()
    builder.add(np.ones((8, 8, 4)))
    return builder.build()


def random_pose(rng):
    """Near the origin, looking roughly along +Z."""
    angles = rng.uniform(-0.4, 0.4, 3)
    pose = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        pose[:3, :3] = pose[:3, :3] @ turn
    pose[:3, 3] = rng.uniform(-1, 1, 3)
    return pose


def cast(atlas, pose, quads=None, rounds=None):
    """Depth over a small grid of rays, and the rays in world axes."""
    behind = [(9, 9, -99), (9, 8, -99), (8, 8, -99)]
    nothing = shapes.quads([shapes.Face(behind, 0, inside=(9, 9, -100))])
    far = shapes.rounds([Ball((0, 0, -99), (1, 1, 1), 0)])
    x, y = np.linspace(-0.9, 0.9, 64), np.linspace(-0.6, 0.6, 48)
    hits = first_hits(
        nothing if quads is None else quads,
        far if rounds is None else rounds,
        atlas,
        pose,
        x,
        y,
    )
    with np.errstate(divide="ignore"):
        depth = np.where(hits.surface >= 0, 1 / hits.inverse_depth, np.inf)
    grid = np.stack([*np.meshgrid(x, y), np.ones((48, 64))], axis=-1)
    return depth, grid @ pose[:3, :3].T


def assert_same_surface(depth, expected):
    """Equal depths; silhouettes may differ by rounding on single rays."""
    hit, truth = np.isfinite(depth), np.isfinite(expected)
    assert truth.sum() > 30
    assert (hit != truth).mean() < 1e-3
    both = hit & truth
    np.testing.assert_allclose(depth[both], expected[both], rtol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_box_is_where_the_slab_method_finds_it(atlas, seed):
    rng = np.random.default_rng(seed)
    low = np.array([-2.0, -1.5, 4.0]) + rng.uniform(-1, 1, 3)
    high = low + rng.uniform(0.8, 3, 3)
    faces = shapes.box(
        (low[0], high[0]),
        (-high[1], -low[1]),
        (low[2], high[2]),
        0,
        sides="xXyYzZ",
    )
    pose = random_pose(rng)
    depth, rays = cast(atlas, pose, quads=shapes.quads(faces))
    a, b = (low - pose[:3, 3]) / rays, (high - pose[:3, 3]) / rays
    enter = np.minimum(a, b).max(-1)
    leave = np.maximum(a, b).min(-1)
    expected = np.where((enter < leave) & (enter > 0), enter, np.inf)
    assert_same_surface(depth, expected)


def roots(position, rays, used):
    """Smallest solution t of |position + t·ray| = 1 over the axes used."""
    a = (rays[..., used] ** 2).sum(-1)
    b = (rays[..., used] * position[used]).sum(-1)
    c = (position[used] ** 2).sum() - 1
    with np.errstate(invalid="ignore"):
        return (-b - np.sqrt(b * b - a * c)) / a


@pytest.mark.parametrize("seed", range(8))
def test_turned_ellipsoid_solves_its_quadratic(atlas, seed):
    rng = np.random.default_rng(seed)
    radii, heading = rng.uniform(0.5, 2, 3), rng.uniform(-3, 3)
    centre = np.array([0.3, -0.4, 7.0])
    body = shapes.rounds([Ball((0, 0, 0), radii, 0)])
    turn = shapes.turn(heading)
    pose = random_pose(rng)
    depth, rays = cast(atlas, pose, rounds=shapes.move(body, turn, centre))
    # The oracle works in the ellipsoid's own frame, scaled to a sphere.
    position = (pose[:3, 3] - centre) @ turn / radii
    expected = roots(position, rays @ turn / radii, [0, 1, 2])
    expected = np.where(np.isnan(expected), np.inf, expected)
    assert_same_surface(depth, expected)


@pytest.mark.parametrize("seed", range(4))
def test_cylinder_ends_at_its_height(atlas, seed):
    rng = np.random.default_rng(seed)
    centre, radii = np.array([0.2, -0.1, 6.0]), np.array([0.7, 1.5, 0.7])
    rounds = shapes.rounds([Ball(centre * (1, -1, 1), radii, 0, cylinder=True)])
    pose = random_pose(rng)
    depth, rays = cast(atlas, pose, rounds=rounds)
    position = (pose[:3, 3] - centre) / radii
    expected = roots(position, rays / radii, [0, 2])
    height = position[1] + expected * (rays / radii)[..., 1]
    expected = np.where(np.abs(height) <= 1, expected, np.inf)
    assert_same_surface(depth, expected)


def test_the_nearer_of_two_surfaces_is_seen(atlas):
    def wall(z):
        corners = [(-9, 9, z), (9, 9, z), (9, -9, z), (-9, -9, z)]
        return shapes.Face(corners, 0, inside=(0, 0, z + 1))

    quads = shapes.quads([wall(5.2), wall(5.0)])
    ball = shapes.rounds([Ball((0, 0, 4), (0.5, 0.5, 0.5), 0)])
    depth, _ = cast(atlas, np.eye(4), quads=quads, rounds=ball)
    assert depth.max() == pytest.approx(5.0, rel=1e-6)
    assert depth[24, 32] == pytest.approx(3.5, rel=2e-3)


def test_backs_of_solids_are_not_seen_but_two_sided_quads_are(atlas):
    corners = [(-9, 9, 5), (9, 9, 5), (9, -9, 5), (-9, -9, 5)]
    face = shapes.Face(corners, 0, inside=(0, 0, 4))
    depth, _ = cast(atlas, np.eye(4), quads=shapes.quads([face]))
    assert np.isinf(depth).all()
    face = face._replace(two_sided=True)
    depth, _ = cast(atlas, np.eye(4), quads=shapes.quads([face]))
    np.testing.assert_allclose(depth, 5.0, rtol=1e-6)


def test_a_plane_through_the_camera_plane_is_cut_not_wrapped(atlas):
    """Ground under and behind the camera, seen up to the horizon."""
    corners = [(-50, -1, -50), (50, -1, -50), (50, -1, 50), (-50, -1, 50)]
    ground = shapes.quads([shapes.Face(corners, 0, inside=(0, -2, 0))])
    depth, rays = cast(atlas, np.eye(4), quads=ground)
    with np.errstate(divide="ignore"):
        expected = np.where(rays[..., 1] > 1 / 50, 1 / rays[..., 1], np.inf)
    assert_same_surface(depth, expected)


def test_leaves_have_holes_that_stay_where_they_are():
    """A ray through a hole meets what lies behind; from elsewhere too."""
    rng = np.random.default_rng(0)
    builder = AtlasBuilder()
    tile = np.ones((64, 64, 4))
    tile[..., 3] = np.kron(rng.random((16, 16)) > 0.5, np.ones((4, 4)))
    builder.add(tile)
    atlas = builder.build()
    ball = shapes.rounds(
        [Ball((0, 0, 5), (1.5, 1.5, 1.5), 0, density=16.0, leafy=True)]
    )
    solid = shapes.rounds([Ball((0, 0, 5), (1.5, 1.5, 1.5), 0)])
    seen = []
    for shift in (0.0, 0.3):
        pose = np.eye(4)
        pose[0, 3] = shift
        depth, rays = cast(atlas, pose, rounds=ball)
        whole, _ = cast(atlas, pose, rounds=solid)
        front = np.isfinite(whole)
        leaf = depth[front] == whole[front]
        assert 0.3 < leaf.mean() < 0.7
        points = pose[:3, 3] + rays[front] * whole[front][:, None]
        seen.append((points, leaf))
    (first, first_leaf), (second, second_leaf) = seen
    distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
    close = distance.min(1) < 0.02
    agree = first_leaf[close] == second_leaf[distance.argmin(1)[close]]
    assert close.sum() > 100
    assert agree.mean() > 0.85
