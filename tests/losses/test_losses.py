"""The loss terms: what they mean, and that they stay finite at every edge."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import geometry, losses
from scdepth_tf.losses.masks import drop_sparse_images
from scdepth_tf.synthetic import make_street, render_frame
from tests import planes

PUBLISHED = {
    "release": losses.LossConfig.release(),
    "lightning": losses.LossConfig.lightning(),
}
PRESETS = PUBLISHED | {"region": losses.LossConfig(auto_mask_by="region")}
VECTORS = tf.constant(
    [[0.2, -0.1, -0.5, 0.02, -0.05, 0.03], [-0.1, 0.05, 0.4, -0.02, 0.03, 0.0]]
)


def snippet(vectors=VECTORS):
    """Arguments of `loss_terms` for the analytic scene, truth for all."""
    poses = geometry.pose_matrix(vectors)
    target, target_depth = planes.render(np.eye(4))
    sources, source_depths = zip(
        *(planes.render(np.linalg.inv(pose)) for pose in poses.numpy()),
        strict=True,
    )
    return {
        "target": tf.constant(target),
        "sources": tf.stack(sources, axis=1),
        "target_depth": tf.constant(target_depth),
        "source_depths": tf.stack(source_depths, axis=1),
        "sources_from_target": poses[None],
        "target_from_sources": geometry.inverse_pose(poses)[None],
        "intrinsics": tf.constant(planes.INTRINSICS[None], tf.float32),
    }


def standing_still():
    """The same with poses that say so."""
    poses = tf.eye(4, batch_shape=[1, 2])
    return snippet() | {
        "sources_from_target": poses,
        "target_from_sources": poses,
    }


def gradients_of(arguments, config):
    names = [
        "target_depth",
        "source_depths",
        "sources_from_target",
        "target_from_sources",
    ]
    with tf.GradientTape() as tape:
        watched = {
            name: tf.convert_to_tensor(arguments[name]) for name in names
        }
        tape.watch(watched)
        terms = losses.loss_terms(**{**arguments, **watched}, config=config)
    return terms, tape.gradient(
        terms.total, watched, unconnected_gradients="zero"
    )


def assert_finite(terms, gradients):
    for name, value in [*terms._asdict().items(), *gradients.items()]:
        assert np.isfinite(value).all(), name


@pytest.mark.parametrize("preset", PRESETS)
def test_truth_costs_far_less_than_a_wrong_pose_or_depth(preset):
    truth = losses.loss_terms(**snippet(), config=PRESETS[preset])
    wrong_depth = snippet()
    wrong_depth["target_depth"] *= 1.5
    terms = losses.loss_terms(**wrong_depth, config=PRESETS[preset])
    assert truth.geometry < 0.2 * terms.geometry
    wrong_pose = snippet() | {
        "sources_from_target": geometry.pose_matrix(VECTORS * 0.5)[None]
    }
    terms = losses.loss_terms(**wrong_pose, config=PRESETS[preset])
    assert truth.photometric < 0.5 * terms.photometric


@pytest.mark.parametrize("preset", PUBLISHED)
def test_truth_costs_far_less_than_no_motion(preset):
    truth = losses.loss_terms(**snippet(), config=PUBLISHED[preset])
    terms = losses.loss_terms(**standing_still(), config=PUBLISHED[preset])
    assert truth.geometry < 0.2 * terms.geometry


def test_mask_of_regions_leaves_pairs_out_where_poses_see_no_motion():
    """Nothing is explained better then; they are counted."""
    terms = losses.loss_terms(**standing_still(), config=PRESETS["region"])
    assert terms.dropped_fraction == 1.0
    assert terms.photometric == terms.geometry == 0.0


@pytest.mark.parametrize("preset", PRESETS)
def test_one_unknown_scale_is_free(preset):
    """Depths and translations × s: the same photometric, geometry and
    smoothness terms, which is why the whole video shares one scale."""
    plain = losses.loss_terms(**snippet(), config=PRESETS[preset])
    scaled = snippet(VECTORS * tf.constant([4.0] * 3 + [1.0] * 3))
    scaled |= {
        name: snippet()[name]
        for name in ("sources", "target", "target_depth", "source_depths")
    }
    for name in ("target_depth", "source_depths"):
        scaled[name] = scaled[name] * 4.0
    terms = losses.loss_terms(**scaled, config=PRESETS[preset])
    for name in ("photometric", "geometry", "smoothness"):
        np.testing.assert_allclose(
            getattr(terms, name), getattr(plain, name), rtol=1e-3, atol=1e-5
        )


def test_scaling_one_frame_alone_is_punished():
    arguments = snippet()
    arguments["target_depth"] = arguments["target_depth"] * 1.2
    terms = losses.loss_terms(**arguments)
    # D_diff of a ratio of 1.2 is 0.2 / 2.2 in each of four directed pairs.
    np.testing.assert_allclose(terms.geometry, 4 * 0.2 / 2.2, rtol=0.25)


def edge_cases():
    plain = snippet()
    still = tf.eye(4, batch_shape=[1, 2]) + 0.0
    yield (
        "zero motion",
        plain
        | {
            "sources_from_target": still,
            "target_from_sources": still,
        },
    )
    yield (
        "black images",
        plain
        | {
            "target": tf.zeros_like(plain["target"]),
            "sources": tf.zeros_like(plain["sources"]),
        },
    )
    yield (
        "identical frames",
        plain
        | {
            "sources": tf.stack([plain["target"]] * 2, axis=1),
        },
    )
    yield (
        "behind the camera",
        plain
        | {
            "sources_from_target": geometry.pose_matrix(
                tf.constant([[0.0, 0.0, -500.0, 0.0, 0.0, 0.0]] * 2)
            )[None]
        },
    )
    yield (
        "nothing in view",
        plain
        | {
            "sources_from_target": geometry.pose_matrix(
                tf.constant([[0.0, 0.0, 0.0, 0.0, 3.0, 0.0]] * 2)
            )[None],
            "target_from_sources": geometry.pose_matrix(
                tf.constant([[0.0, 0.0, 0.0, 0.0, 3.0, 0.0]] * 2)
            )[None],
        },
    )
    yield (
        "nearest and farthest depth",
        plain
        | {
            "target_depth": tf.where(
                plain["target_depth"] > 6.0, 100.0, 0.0999
            ),
        },
    )


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("case", [name for name, _ in edge_cases()])
def test_values_and_gradients_are_finite(preset, case):
    arguments = dict(edge_cases())[case]
    assert_finite(*gradients_of(arguments, PRESETS[preset]))


def test_an_empty_mask_leaves_only_smoothness_and_is_counted():
    arguments = dict(edge_cases())["nothing in view"]
    terms = losses.loss_terms(**arguments)
    assert terms.photometric == 0.0
    assert terms.geometry == 0.0
    assert terms.dropped_fraction == 1.0
    assert terms.smoothness > 0.0


def test_batch_of_mixed_intrinsics_is_finite_and_not_mixed():
    one = snippet()
    two = {name: tf.concat([value] * 2, axis=0) for name, value in one.items()}
    two["intrinsics"] = tf.concat(
        [
            one["intrinsics"],
            geometry.scale_intrinsics(one["intrinsics"], 1.4, 0.7),
        ],
        axis=0,
    )
    terms, gradients = gradients_of(two, PRESETS["release"])
    assert_finite(terms, gradients)
    # The wrong camera's pixels cost more than the right one's.
    right = losses.loss_terms(**one)
    assert terms.photometric > 1.2 * right.photometric


@pytest.mark.parametrize("preset", PRESETS)
def test_xla_gives_the_same_terms(preset):
    arguments = snippet()
    arguments["target_depth"] = arguments["target_depth"] * 1.1
    config = PRESETS[preset]
    plain = losses.loss_terms(**arguments, config=config)
    compiled = tf.function(
        lambda **kwargs: losses.loss_terms(**kwargs, config=config),
        jit_compile=True,
    )(**arguments)
    for ours, xla in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(xla, ours, rtol=1e-4, atol=1e-6)


def test_ssim_distance_of_equal_images_is_zero(rng):
    image = tf.constant(rng.uniform(-2, 2, (1, 9, 11, 3)), tf.float32)
    distance = losses.ssim_distance(image, image)
    np.testing.assert_allclose(distance, 0.0, atol=1e-6)


@pytest.mark.parametrize("window", [3, 7])
def test_ssim_distance_matches_the_formula_at_one_pixel(rng, window):
    a, b = rng.uniform(0, 1, (2, 1, window, window, 1))
    mean_a, mean_b = a.mean(), b.mean()
    c1, c2 = 0.01**2, 0.03**2
    covariance = ((a - mean_a) * (b - mean_b)).mean()
    ssim = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (a.var() + b.var() + c2)
    )
    distance = losses.ssim_distance(tf.constant(a), tf.constant(b), window)
    middle = window // 2
    np.testing.assert_allclose(
        distance[0, middle, middle, 0], (1 - ssim) / 2, rtol=1e-6
    )


def test_depth_inconsistency_by_hand():
    computed = tf.constant([1.0, 3.0, 2.0, 5.0])
    sampled = tf.constant([1.0, 1.0, 2.0, 0.0])
    np.testing.assert_allclose(
        losses.depth_inconsistency(computed, sampled), [0.0, 0.5, 0.0, 1.0]
    )
    np.testing.assert_allclose(
        losses.depth_inconsistency(computed * 7.0, sampled * 7.0),
        losses.depth_inconsistency(computed, sampled),
        atol=1e-6,
    )


def test_auto_mask_drops_what_stands_still_and_keeps_what_warping_explains():
    target = tf.reshape(tf.constant([0.0, 0.0, 0.0]), [1, 1, 3, 1])
    source = tf.reshape(tf.constant([0.0, 0.5, 0.5]), [1, 1, 3, 1])
    warped = tf.reshape(tf.constant([0.0, 0.1, 0.9]), [1, 1, 3, 1])
    np.testing.assert_array_equal(
        losses.auto_mask(target, warped, source)[0, 0, :, 0], [0.0, 1.0, 0.0]
    )


def halves(left, right):
    """[1, 9, 40, 1]."""
    row = tf.repeat(tf.reshape([left, right], [1, 1, 2, 1]), 20, axis=2)
    return tf.repeat(row, 9, axis=1)


@pytest.mark.parametrize(
    ("left", "right", "kept"),
    [
        (0.1, 0.55, (1, 1)),  # both lose more than 40 % of their error
        (0.1, 0.65, (1, 0)),  # one does
        (0.7, 0.9, (1, 0)),  # neither; the image loses 20 %
        (0.8, 1.2, (1, 0)),  # the image loses nothing
        (0.95, 1.2, (0, 0)),  # nothing loses 10 %
    ],
)
def test_mask_of_regions_wants_much_less_error(left, right, kept):
    after = halves(left, right)
    before = tf.ones_like(after)
    mask = losses.region_auto_mask(after, before, before)[0, :, :, 0].numpy()
    # Regions that lie in one half.
    np.testing.assert_array_equal(mask[:, :18], kept[0])
    np.testing.assert_array_equal(mask[:, 22:], kept[1])


def test_mask_of_regions_judges_each_image_by_itself():
    after = tf.concat([halves(0.7, 0.9), halves(0.1, 0.65)], axis=0)
    before = tf.ones_like(after)
    together = losses.region_auto_mask(after, before, before)
    for i in range(2):
        one = slice(i, i + 1)
        np.testing.assert_array_equal(
            together[one],
            losses.region_auto_mask(after[one], before[one], before[one]),
        )
    assert 0 < tf.reduce_sum(together) < tf.size(together, tf.float32)


def test_mask_of_regions_does_not_ask_what_is_out_of_view():
    """There the warp is grey: neither neighbours nor the image pay for it."""
    after, valid = halves(0.5, 9.0), halves(1.0, 0.0)
    mask = losses.region_auto_mask(after, tf.ones_like(after), valid)
    np.testing.assert_array_equal(valid * mask, valid)


def test_mask_of_regions_does_not_hang_on_single_pixels():
    after = halves(0.1, 0.9).numpy()
    after[0, 5, 10::20] = [[1.0], [0.0]]
    before = tf.ones_like(after)
    mask = losses.region_auto_mask(tf.constant(after), before, before)
    # The unlucky one among the explained, the lucky one among the others.
    np.testing.assert_array_equal(mask[0, 5, 10::20, 0], [1.0, 0.0])


def test_mask_of_regions_is_empty_where_nothing_moves_or_is_seen():
    error = tf.random.stateless_uniform([1, 9, 9, 1], seed=(1, 2))
    valid = tf.ones_like(error)
    assert tf.reduce_sum(losses.region_auto_mask(error, error, valid)) == 0.0
    unseen = losses.region_auto_mask(0.1 * error, error, 0.0 * valid)
    assert tf.reduce_sum(unseen) == 0.0


def test_mask_of_regions_tells_a_car_ahead_from_the_street():
    """With the truth for what stands and the car sunk to far away, where it is
    drawn to, regions keep most of the street and little of the car.
    """
    street = make_street(311, frames=20)
    size = (64, 192)
    target, source = (render_frame(street, i, size) for i in (8, 9))
    car = (target.instance == 2) & (target.depth > 0)
    still = (target.instance != 2) & (target.depth > 0) & (target.depth < 80)
    depths = [np.where(x.depth > 0, x.depth, 500.0) for x in (target, source)]
    depths[0][car] = 100.0
    motion = np.linalg.inv(source.world_from_camera) @ target.world_from_camera

    def batch(array):
        return tf.constant(np.asarray(array, np.float32)[None])

    kept = {
        by: losses.compare_views(
            *(
                losses.standardise(batch(x.image / 255))
                for x in (target, source)
            ),
            *(batch(depth[..., None]) for depth in depths),
            batch(motion),
            batch(target.intrinsics),
            losses.LossConfig(auto_mask_by=by),
        ).auto_mask.numpy()[0, ..., 0]
        for by in ("pixel", "region")
    }
    assert car.sum() > 100
    assert kept["region"][car].mean() < 0.3 * kept["pixel"][car].mean()
    assert kept["region"][still].mean() > 0.8 * kept["pixel"][still].mean()


def test_masked_mean_by_hand():
    x = tf.constant([[1.0], [5.0], [9.0]])
    mask = tf.constant([[1.0], [1.0], [0.0]])
    assert losses.masked_mean(x, mask) == 3.0
    assert losses.masked_mean(x, tf.zeros_like(mask)) == 0.0


def test_sparse_images_are_dropped_and_others_kept():
    mask = np.zeros((2, 10, 10, 1), np.float32)
    mask[0, 0, 0] = 1.0
    mask[1, :2] = 1.0
    kept = drop_sparse_images(tf.constant(mask), 0.05).numpy()
    assert kept[0].sum() == 0.0
    assert kept[1].sum() == 20.0


def test_smoothness_by_hand():
    depth = tf.reshape(tf.constant([1.0, 3.0]), [1, 1, 2, 1])
    flat = tf.zeros([1, 1, 2, 3])
    # D̄ = (0.5, 1.5); the y term has no neighbours and needs 2 rows.
    depth = tf.concat([depth, depth], axis=1)
    flat = tf.concat([flat, flat], axis=1)
    assert losses.smoothness(depth, flat) == 1.0
    edge = flat + tf.constant([0.0, 2.0])[None, None, :, None]
    np.testing.assert_allclose(
        losses.smoothness(depth, edge), np.exp(-2.0), rtol=1e-6
    )


def test_minimum_over_views_takes_the_better_view_of_the_same_frame():
    """One source shows the scene, the other a foreign image: `minimum`
    ignores the foreign view wherever the good one is in view."""
    arguments = snippet()
    foreign = tf.reverse(arguments["sources"][:, 1:], axis=[2])
    spoiled = arguments | {
        "sources": tf.concat([arguments["sources"][:, :1], foreign], axis=1)
    }
    config = losses.LossConfig(
        combine_views="minimum", auto_mask=False, self_mask=False
    )
    summed = losses.LossConfig(auto_mask=False, self_mask=False)
    ratio_minimum = (
        losses.loss_terms(**spoiled, config=config).photometric
        / losses.loss_terms(**arguments, config=config).photometric
    )
    ratio_sum = (
        losses.loss_terms(**spoiled, config=summed).photometric
        / losses.loss_terms(**arguments, config=summed).photometric
    )
    assert ratio_minimum < 0.8 * ratio_sum


def test_stopping_the_mask_gradient_changes_gradients_not_values():
    arguments = snippet()
    arguments["target_depth"] = arguments["target_depth"] * 1.1
    through = losses.LossConfig(geometry_weight=0.0, smoothness_weight=0.0)
    stopped = dataclasses.replace(through, self_mask_gradient=False)
    terms_a, gradients_a = gradients_of(arguments, through)
    terms_b, gradients_b = gradients_of(arguments, stopped)
    assert terms_a.total == terms_b.total
    # With the gradient stopped the sources' depths are not touched at all.
    assert np.abs(gradients_b["source_depths"]).max() > 0.0
    assert (
        np.abs(gradients_a["target_depth"] - gradients_b["target_depth"]).max()
        > 1e-6
    )
