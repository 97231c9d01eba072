import numpy as np
import pytest

from scdepth_tf.synthetic.textures import AtlasBuilder, noise


@pytest.fixture(scope="module")
def tile():
    return np.random.default_rng(0).random((16, 32, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def atlas(tile):
    builder = AtlasBuilder()
    builder.add(np.zeros((4, 4, 4)))
    builder.add(tile)
    return builder.build()


def look_up(atlas, u, v, level_u=0, level_v=0):
    u, v = np.atleast_1d(np.float32(u), np.float32(v))
    whole = np.ones(u.shape, int)
    return atlas.sample(whole, u, v, level_u * whole, level_v * whole) / 255


def test_texel_centres_return_the_texel(atlas, tile):
    v, u = np.mgrid[:16, :32]
    values = look_up(atlas, u.ravel() + 0.5, v.ravel() + 0.5)
    np.testing.assert_allclose(values, tile.reshape(-1, 4), atol=0.6 / 255)


def test_half_way_between_texels_lies_their_mean(atlas, tile):
    value = look_up(atlas, 4.0, 7.5)[0]
    np.testing.assert_allclose(value, tile[7, 3:5].mean(0), atol=1 / 255)


def test_tiles_repeat(atlas):
    near, far = look_up(atlas, 3.2, 5.9), look_up(atlas, 3.2 - 64, 5.9 + 160)
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_coarsest_level_is_the_mean_of_linear_light(atlas, tile):
    value = look_up(atlas, 1.0, 1.0, 12, 12)[0]
    mean = (tile[..., :3] ** 2).mean((0, 1))
    np.testing.assert_allclose(value[:3] ** 2, mean, atol=2 / 255)
    np.testing.assert_allclose(value[3], tile[..., 3].mean(), atol=1 / 255)


def test_axes_are_filtered_independently(atlas, tile):
    column = look_up(atlas, 6.5, 3.0, level_v=4)[0]
    expected = np.sqrt((tile[:, 6, :3] ** 2).mean(0))
    np.testing.assert_allclose(column[:3], expected, atol=2 / 255)


def test_noise_is_standardised_and_joins_at_the_edges():
    field = noise(np.random.default_rng(0), (64, 128), exponent=1.5)
    assert abs(field.mean()) < 1e-3
    assert field.std() == pytest.approx(1, abs=1e-3)
    inner = np.abs(np.diff(field, axis=1)).mean()
    seam = np.abs(field[:, 0] - field[:, -1]).mean()
    assert seam < 1.5 * inner
