import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scdepth_tf import metrics
from scdepth_tf.metrics import EIGEN, GENERIC, NYU, depth_errors
from scdepth_tf.metrics.depth import errors_at_scale, mean_errors

ERRORS = "abs_rel sq_rel rmse rmse_log log10 delta1 delta2 delta3 silog".split()


def error_values(errors):
    return [getattr(errors, name) for name in ERRORS]


def bilinear(values, height, width):
    """Half-pixel centres, edges repeated; one pixel at a time."""
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            y = (row + 0.5) * values.shape[0] / height - 0.5
            x = (column + 0.5) * values.shape[1] / width - 0.5
            y = min(max(y, 0), values.shape[0] - 1)
            x = min(max(x, 0), values.shape[1] - 1)
            top, left = int(y), int(x)
            bottom = min(top + 1, values.shape[0] - 1)
            right = min(left + 1, values.shape[1] - 1)
            upper = (x - left) * values[top, right] + (1 - x + left) * values[
                top, left
            ]
            lower = (x - left) * values[bottom, right] + (
                1 - x + left
            ) * values[bottom, left]
            result[row, column] = (y - top) * lower + (1 - y + top) * upper
    return result


def plain_errors(pairs):
    """The nine errors of (truth, prediction) pairs, in plain Python."""
    n = len(pairs)
    logs = [math.log(p / z) for z, p in pairs]
    ratios = [max(p / z, z / p) for z, p in pairs]
    mean_log = sum(logs) / n
    return [
        sum(abs(p - z) / z for z, p in pairs) / n,
        sum((p - z) ** 2 / z for z, p in pairs) / n,
        math.sqrt(sum((p - z) ** 2 for z, p in pairs) / n),
        math.sqrt(sum(d * d for d in logs) / n),
        sum(abs(math.log10(p) - math.log10(z)) for z, p in pairs) / n,
        sum(r < 1.25 for r in ratios) / n,
        sum(r < 1.25**2 for r in ratios) / n,
        sum(r < 1.25**3 for r in ratios) / n,
        100 * math.sqrt(sum((d - mean_log) ** 2 for d in logs) / n),
    ]


def test_every_error_equals_the_value_worked_out_by_hand():
    truth = np.array([[1.0, 2.0], [4.0, 8.0]])
    prediction = np.array([[2.0, 2.0], [2.0, 8.0]])
    errors = depth_errors(truth, prediction, GENERIC, scale=1.0)
    assert errors.abs_rel == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert errors.sq_rel == pytest.approx((1 + 0 + 1 + 0) / 4)
    assert errors.rmse == pytest.approx(math.sqrt((1 + 4) / 4))
    assert errors.rmse_log == pytest.approx(math.log(2) / math.sqrt(2))
    assert errors.log10 == pytest.approx(math.log10(2) / 2)
    assert (errors.delta1, errors.delta2, errors.delta3) == (0.5, 0.5, 0.5)
    # The logs ln 2 and −ln 2 cancel in the mean that SILog subtracts.
    assert errors.silog == pytest.approx(100 * math.log(2) / math.sqrt(2))
    assert errors.scale == 1.0
    assert errors.valid_pixels == 4


def test_silog_ignores_a_scale_that_rmse_log_sees():
    truth = np.array([[1.0, 2.0, 5.0]])
    errors = depth_errors(truth, 2 * truth, GENERIC, scale=1.0)
    assert errors.silog == pytest.approx(0, abs=1e-5)
    assert errors.rmse_log == pytest.approx(math.log(2))


def test_deltas_count_ratios_strictly_below_their_thresholds_both_ways():
    truth = np.full((1, 6), 2.0)
    ratios = np.array([[1.2, 1.25, 1.5, 1.5625, 1 / 1.9, 2.0]])
    errors = depth_errors(truth, truth * ratios, GENERIC, scale=1.0)
    assert errors.delta1 == pytest.approx(1 / 6)
    assert errors.delta2 == pytest.approx(3 / 6)
    assert errors.delta3 == pytest.approx(5 / 6)


def test_whole_eigen_evaluation_agrees_with_plain_python(rng):
    """Sparse truth, a smaller prediction: resize, mask, scale, clip, errors,
    each step written out one pixel at a time."""
    height, width = 47, 64
    truth = rng.uniform(1, 100, (height, width)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.9] = 0
    prediction = rng.uniform(0.05, 9, (16, 24)).astype(np.float32)

    resized = 1 / bilinear(1 / prediction.astype(float), height, width)
    pairs = [
        (float(truth[row, column]), resized[row, column])
        for row in range(int(0.40810811 * height), int(0.99189189 * height))
        for column in range(int(0.03594771 * width), int(0.96405229 * width))
        if 1e-3 < truth[row, column] < 80
    ]
    scale = np.median([z for z, _ in pairs]) / np.median([p for _, p in pairs])
    pairs = [(z, min(max(p * scale, 1e-3), 80.0)) for z, p in pairs]
    assert max(p for _, p in pairs) == 80  # the clip took part

    errors = depth_errors(truth, prediction, EIGEN)
    assert errors.valid_pixels == len(pairs)
    assert errors.scale == pytest.approx(scale, rel=1e-5)
    assert error_values(errors) == pytest.approx(plain_errors(pairs), rel=1e-5)


def test_garg_crop_of_a_kitti_frame_is_the_published_one():
    assert EIGEN.crop_box(375, 1242) == (153, 371, 44, 1197)


def test_nyu_crop_is_the_published_one():
    assert NYU.crop_box(480, 640) == (45, 471, 41, 601)


def test_no_crop_keeps_every_pixel():
    assert GENERIC.crop_box(5, 7) == (0, 5, 0, 7)
    assert GENERIC.mask(np.ones((5, 7))).all()


def test_pixels_outside_the_crop_do_not_count(rng):
    truth = rng.uniform(2, 60, (40, 80))
    prediction = rng.uniform(2, 60, (40, 80))
    top, bottom, left, right = EIGEN.crop_box(40, 80)
    expected = depth_errors(
        truth[top:bottom, left:right],
        prediction[top:bottom, left:right],
        GENERIC,
    )
    assert depth_errors(truth, prediction, EIGEN) == expected


def test_missing_and_out_of_range_ground_truth_does_not_count():
    truth = np.array([[0, np.nan, np.inf, -1, 80, 1e-3, 79.5, 2]])
    mask = GENERIC.mask(truth)
    assert mask.tolist() == [[False] * 6 + [True] * 2]


def test_prediction_where_lidar_hit_nothing_does_not_matter(rng):
    truth = rng.uniform(2, 60, (30, 50))
    truth[rng.random(truth.shape) < 0.95] = 0
    prediction = rng.uniform(2, 60, truth.shape)
    elsewhere = np.where(truth > 0, prediction, 1e3)
    assert depth_errors(truth, prediction, GENERIC) == depth_errors(
        truth, elsewhere, GENERIC
    )


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-3, 1e3), st.sampled_from([EIGEN, GENERIC, NYU]))
def test_median_scaled_errors_do_not_depend_on_the_predictions_unit(
    factor, protocol
):
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.5, 9, (24, 40))
    prediction = rng.uniform(0.5, 9, (12, 20))
    plain = depth_errors(truth, prediction, protocol)
    scaled = depth_errors(truth, factor * prediction, protocol)
    assert error_values(scaled) == pytest.approx(error_values(plain), rel=1e-4)
    assert scaled.scale == pytest.approx(plain.scale / factor, rel=1e-5)


def test_perfect_prediction_in_another_unit_has_no_error(rng):
    truth = rng.uniform(2, 60, (20, 30))
    errors = depth_errors(truth, truth / 7, GENERIC)
    assert errors.scale == pytest.approx(7, rel=1e-6)
    assert errors.abs_rel < 1e-6
    assert errors.delta1 == 1


def test_prediction_is_clipped_after_scaling_not_before():
    truth = np.array([[10.0, 10.0, 79.0]])
    # Scaled by 10 the last pixel becomes 200 m, which the cap makes 80 m.
    errors = depth_errors(truth, np.array([[1.0, 1.0, 20.0]]), GENERIC)
    assert errors.scale == pytest.approx(10)
    assert errors.abs_rel == pytest.approx(1 / 79 / 3)
    # Depths beyond the cap before scaling: clipping first would flatten them.
    errors = depth_errors(truth, 100 * truth, GENERIC)
    assert errors.abs_rel == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "protocol", [GENERIC, dataclasses.replace(NYU, crop=None)]
)
def test_prediction_is_resized_in_the_protocols_space(protocol):
    """Enlarging [1, 4] to four columns: weights 1, 3/4, 1/4, 0."""
    prediction = np.array([[1.0, 4.0]])
    weight = np.array([1, 0.75, 0.25, 0])
    expected = {
        "disparity": 1 / (weight / 1 + (1 - weight) / 4),
        "depth": weight * 1 + (1 - weight) * 4,
    }[protocol.resize]
    errors = depth_errors(expected[None], prediction, protocol, scale=1.0)
    assert errors.abs_rel < 1e-6


def test_enlarging_is_plain_bilinear(rng):
    """As the published evaluations resize (OpenCV's INTER_LINEAR)."""
    prediction = rng.uniform(1, 20, (5, 7))
    truth = 1 / bilinear(1 / prediction, 23, 40)
    assert depth_errors(truth, prediction, GENERIC, scale=1.0).abs_rel < 1e-6


def test_scale_may_be_given():
    truth = np.array([[2.0, 4.0]])
    errors = depth_errors(truth, truth, GENERIC, scale=1.5)
    assert errors.scale == 1.5
    assert errors.abs_rel == pytest.approx(0.5)


def test_averages_weigh_images_equally_and_pixels_not():
    one = errors_at_scale(np.ones(1), np.ones(1) * 2, GENERIC, 1.0)
    many = errors_at_scale(np.ones(9), np.ones(9) * 4, GENERIC, 3 / 4)
    average = mean_errors([one, many, many])
    assert average.abs_rel == pytest.approx((1 + 2 + 2) / 3)
    assert average.rmse == pytest.approx((1 + 2 + 2) / 3)
    assert average.scale == 3 / 4
    assert average.valid_pixels == 19


def test_protocols_are_found_by_their_names():
    assert list(metrics.PROTOCOLS) == [
        "generic",
        "eigen",
        "eigen_lightning",
        "eigen_improved",
        "nyu",
        "nyu_release",
        "ddad",
    ]
    for name, protocol in metrics.PROTOCOLS.items():
        assert protocol.name == name
        assert name in protocol.describe()


@pytest.mark.parametrize(
    ("name", "counted", "cap", "crop", "resize"),
    [
        # Ground truth that just counts, and the cap of the prediction.
        ("eigen", (0.0011, 79.99), 80, True, "disparity"),
        ("eigen_lightning", (0.11, 79.99), 80, True, "depth"),
        ("eigen_improved", (1 / 256, 255.9), 80, False, "disparity"),
        ("nyu", (0.11, 9.99), 10, True, "depth"),
        ("nyu_release", (0.0011, 9.99), 10, False, "disparity"),
        ("ddad", (0.11, 199.9), 200, False, "depth"),
    ],
)
def test_protocols_are_as_published(name, counted, cap, crop, resize):
    protocol = metrics.PROTOCOLS[name]
    truth = np.full((375, 1242), counted[0])
    truth[:, ::2] = counted[1]
    top, bottom, left, right = protocol.crop_box(375, 1242)
    mask = protocol.mask(truth)
    assert mask[top:bottom, left:right].all()
    assert mask.all() != crop
    assert mask.sum() == (bottom - top) * (right - left)
    outside = np.array([[counted[0] / 1.2, counted[1] * 1.01]] * 3)
    whole = dataclasses.replace(protocol, crop=None)
    assert not whole.mask(outside)[:, 1].any()
    if name != "eigen_improved":  # there every annotation counts
        assert not whole.mask(outside)[:, 0].any()
    assert protocol.maximum_depth == cap
    assert protocol.resize == resize


def test_limits_of_the_depth_range_do_not_count():
    truth = np.array([[1e-3, 80.0, 40.0]])
    np.testing.assert_array_equal(GENERIC.mask(truth), [[False, False, True]])


def test_improved_ground_truth_counts_beyond_the_cap_of_the_prediction():
    truth = np.array([[20.0, 100.0]])
    errors = depth_errors(truth, truth, metrics.EIGEN_IMPROVED, scale=1.0)
    assert errors.valid_pixels == 2
    assert errors.abs_rel == pytest.approx((0 + 0.2) / 2)


def test_hand_worked_least_squares_scale():
    truth, prediction = np.array([[2.0, 6.0]]), np.array([[1.0, 2.0]])
    errors = depth_errors(truth, prediction, GENERIC, "least_squares")
    assert errors.scale == pytest.approx((1 * 2 + 2 * 6) / (1 + 4))
    for factor in (0.99, 1.01):
        other = depth_errors(truth, prediction, GENERIC, factor * errors.scale)
        assert errors.rmse < other.rmse


def test_description_says_everything_the_numbers_depend_on():
    text = EIGEN.describe()
    for fact in ("0.001-80 m", "40.81-99.19 %", "disparity", "Garg"):
        assert fact in text
    other = dataclasses.replace(EIGEN, crop=None, maximum_depth=50.0)
    assert "no crop" in other.describe()
    assert "0.001-50 m" in other.describe()


def test_shape_is_named_when_a_batch_or_channel_axis_is_left():
    depth = np.ones((4, 6))
    with pytest.raises(ValueError, match=r"prediction .*\[1, 4, 6, 1\]"):
        depth_errors(depth, depth[None, ..., None], GENERIC)
    with pytest.raises(ValueError, match=r"ground truth .*\[24\]"):
        depth_errors(depth.ravel(), depth, GENERIC)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -3.0])
def test_unusable_prediction_is_refused(bad):
    prediction = np.ones((4, 6))
    prediction[1, 2] = bad
    with pytest.raises(ValueError, match=f"1 of 24 .*{bad:g}") as error:
        depth_errors(np.ones((4, 6)), prediction, GENERIC)
    assert "\n" not in str(error.value)


def test_unusable_prediction_is_refused_where_lidar_hit_nothing():
    truth = np.zeros((2, 2))
    truth[0, 0] = 5
    with pytest.raises(ValueError, match="finite"):
        depth_errors(truth, np.array([[1.0, np.nan], [1, 1]]), GENERIC)


def test_image_without_ground_truth_in_range_is_refused_with_its_range():
    with pytest.raises(ValueError, match="6 measurements of 4000-4000"):
        depth_errors(np.full((2, 3), 4000), np.ones((2, 3)), GENERIC)
    with pytest.raises(ValueError, match="without any measurement"):
        depth_errors(np.zeros((2, 3)), np.ones((2, 3)), GENERIC)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, "mean"])
def test_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match="scale must be"):
        depth_errors(np.ones((2, 3)), np.ones((2, 3)), GENERIC, scale=scale)


def test_metrics_and_evaluation_import_no_tensorflow():
    program = (
        "import sys, scdepth_tf.metrics, scdepth_tf.evaluate\n"
        "print({'tensorflow', 'keras'} & set(sys.modules) or 'free')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "free"
