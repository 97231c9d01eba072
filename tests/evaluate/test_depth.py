import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from scdepth_tf.evaluate import DepthReport, Sample, evaluate_depth
from scdepth_tf.metrics import EIGEN, GENERIC, baselines, depth_errors

K = np.array([[20.0, 0, 15.5], [0, 20.0, 7.5], [0, 0, 1]])


def scenes(rng, count=9):
    """Samples whose images carry their index in the first pixel."""
    samples = []
    for index in range(count):
        image = np.full((16, 32, 3), index, np.uint8)
        truth = rng.uniform(2, 20, (16, 32)).astype(np.float32)
        truth[rng.random(truth.shape) < 0.3] = 0
        samples.append(Sample(f"street/{index:06d}", image, truth, K))
    return samples


def perfect_up_to(scales, samples):
    """A predictor that is right but for a factor per image."""

    def predict(image):
        index = image[0, 0, 0]
        truth = samples[index].ground_truth
        return np.where(truth > 0, truth, 1) / scales[index]

    return predict


def with_moving(samples, columns=8):
    """The left `columns` belong to moving objects."""
    moving = np.zeros((16, 32), bool)
    moving[:, :columns] = True
    return [sample._replace(moving=moving) for sample in samples]


@pytest.fixture
def samples(rng):
    return scenes(rng)


@pytest.fixture
def report(samples, rng):
    predict = perfect_up_to(rng.uniform(2, 6, len(samples)), samples)
    return evaluate_depth(
        predict,
        samples,
        EIGEN,
        baselines={
            "constant depth": baselines.constant_depth(),
            "ground plane": baselines.ground_plane(),
        },
    )


def test_scale_that_drifts_shows_only_under_one_scale(samples, rng):
    scales = rng.uniform(2, 6, len(samples))
    report = evaluate_depth(perfect_up_to(scales, samples), samples, GENERIC)
    assert report.median_scaled.abs_rel < 1e-6
    assert report.median_scaled.delta1 == 1
    assert report.scale_median == pytest.approx(np.median(scales), rel=1e-5)
    assert report.scale_spread == pytest.approx(
        scales.std() / np.median(scales), rel=1e-5
    )
    # With one scale s every pixel of image i is off by s / scale_i − 1.
    off = np.abs(np.median(scales) / scales - 1).mean()
    assert report.global_scaled.abs_rel == pytest.approx(off, rel=1e-5)
    assert off > 0.05


def test_consistent_scale_is_as_good_under_one_scale(samples):
    scales = np.full(len(samples), 5.3)
    report = evaluate_depth(perfect_up_to(scales, samples), samples, GENERIC)
    assert report.scale_median == pytest.approx(5.3, rel=1e-6)
    assert report.scale_spread < 1e-6
    assert report.global_scaled.abs_rel < 1e-6


def test_each_image_has_the_errors_of_depth_errors(samples, rng):
    predictions = rng.uniform(2, 60, (len(samples), 8, 16))
    report = evaluate_depth(
        lambda image: predictions[image[0, 0, 0]],
        samples,
        EIGEN,
        baselines={"ground plane": baselines.ground_plane()},
    )
    plane = baselines.ground_plane()((16, 32), K)
    for index, sample in enumerate(samples):
        for one, prediction in (
            (report, predictions[index]),
            (report.baselines["ground plane"], plane),
        ):
            image = one.per_image[index]
            assert image.name == sample.name
            assert image.median_scaled == depth_errors(
                sample.ground_truth, prediction, EIGEN
            )
            assert image.global_scaled == depth_errors(
                sample.ground_truth, prediction, EIGEN, one.scale_median
            )
            assert image.least_squares_scaled == depth_errors(
                sample.ground_truth, prediction, EIGEN, "least_squares"
            )


def test_report_means_are_the_means_of_its_images(report):
    images = report.per_image
    assert report.count == len(images) == 9
    for scaling in ("median_scaled", "global_scaled", "least_squares_scaled"):
        for metric in ("abs_rel", "rmse", "delta1", "silog"):
            values = [getattr(getattr(i, scaling), metric) for i in images]
            mean = getattr(getattr(report, scaling), metric)
            assert mean == pytest.approx(np.mean(values))


def test_generator_of_plain_tuples_is_read_once(samples):
    calls = []

    def predict(image):
        calls.append(image[0, 0, 0])
        return np.ones((4, 4))

    tuples = (tuple(sample)[:3] for sample in samples)
    report = evaluate_depth(predict, tuples, GENERIC)
    assert calls == list(range(9))
    assert report.count == 9


def test_images_of_several_sizes_are_evaluated_together(rng):
    sizes = [(8, 20), (10, 30), (9, 25)]
    truths = [rng.uniform(2, 60, size) for size in sizes]
    samples = [
        (str(truth.shape), np.zeros((*truth.shape, 3), np.uint8), truth)
        for truth in truths
    ]
    report = evaluate_depth(lambda image: np.ones((4, 4)), samples, GENERIC)
    counted = [image.global_scaled.valid_pixels for image in report.per_image]
    assert counted == [160, 300, 225]


def test_baseline_sees_the_size_and_the_intrinsics_alone(samples):
    seen = []

    def baseline(image_size, intrinsics):
        seen.append((image_size, intrinsics))
        return np.ones(image_size)

    evaluate_depth(
        lambda image: np.ones((2, 2)), samples[:1], GENERIC, {"b": baseline}
    )
    assert seen == [((16, 32), K)]


def test_best_baseline_is_the_one_with_the_smallest_median_scaled_error(
    samples,
):
    index = iter(range(len(samples)))

    def nearly_right(image_size, intrinsics):
        truth = samples[next(index)].ground_truth
        return np.where(truth > 0, truth * 1.01, 1)

    report = evaluate_depth(
        lambda image: np.ones((2, 2)),
        samples,
        GENERIC,
        {"constant": baselines.constant_depth(), "nearly": nearly_right},
    )
    assert report.best_baseline().name == "nearly"
    without = dataclasses.replace(report, baselines={})
    assert without.best_baseline() is None


def test_table_prints_its_assumptions_and_both_scalings(report):
    table = report.table()
    words = " ".join(table.split())
    for fact in (
        "9 images",
        "eigen",
        "0.001-80 m",
        "40.81-99.19 %",
        "disparity",
        "each image at its own median scale",
        "all images at one scale",
        "own least-squares scale",
    ):
        assert fact in words
    assert max(map(len, table.splitlines())) <= 80
    for name in ("ours", "constant depth", "ground plane"):
        rows = [row for row in table.splitlines() if row.startswith(name)]
        assert len(rows) == 3
    ours = [row.split() for row in table.splitlines() if row[:4] == "ours"]
    assert ours[0][1] == f"{report.median_scaled.abs_rel:.3f}"
    assert ours[0][-1] == f"{report.scale_spread:.3f}"
    assert ours[1][1] == f"{report.global_scaled.abs_rel:.3f}"


def test_table_compares_with_the_best_baseline(report):
    ratio = report.median_scaled.abs_rel / (
        report.best_baseline().median_scaled.abs_rel
    )
    assert f"is {ratio:.2f} of the best baseline's" in report.table()
    alone = dataclasses.replace(report, baselines={})
    assert "baseline" not in alone.table()


def test_json_holds_the_whole_report(report, tmp_path):
    report.write_json(tmp_path / "new" / "depth.json")
    content = json.loads((tmp_path / "new" / "depth.json").read_text())
    assert content == json.loads(json.dumps(dataclasses.asdict(report)))
    assert content["protocol"]["maximum_depth"] == 80
    assert content["global_scaled"]["abs_rel"] == report.global_scaled.abs_rel
    assert len(content["baselines"]["ground plane"]["per_image"]) == 9


def test_csv_has_a_row_per_predictor_image_and_scaling(report, tmp_path):
    report.write_csv(tmp_path / "depth.csv")
    with (tmp_path / "depth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 9 * 3
    (row,) = (
        row
        for row in rows
        if row["predictor"] == "ground plane"
        and row["image"] == "street/000004"
        and row["scaling"] == "global"
    )
    expected = report.baselines["ground plane"].per_image[4].global_scaled
    assert float(row["rmse"]) == expected.rmse
    assert int(row["valid_pixels"]) == expected.valid_pixels


def test_unwritable_output_is_one_clear_line_and_leaves_nothing(
    report, tmp_path
):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "depth.json", tmp_path / "folder"):
        with pytest.raises(ValueError, match=f"cannot write {path}") as error:
            report.write_json(path)
        assert "\n" not in str(error.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


def test_full_disk_keeps_the_old_file_whole(report, tmp_path, monkeypatch):
    path = tmp_path / "depth.csv"
    path.write_text("the old one")
    write_text = Path.write_text

    def half(self, text, encoding):
        write_text(self, text[: len(text) // 2], encoding=encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(ValueError, match="No space left"):
        report.write_csv(path)
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "truth", [np.zeros((16, 32)), np.full((16, 32), np.nan), None]
)
def test_images_without_ground_truth_are_counted_and_in_no_mean(samples, truth):
    predict = perfect_up_to(np.ones(9), samples)
    samples[3] = samples[3]._replace(ground_truth=truth)
    report = evaluate_depth(predict, samples, GENERIC)
    assert report.count == len(report.per_image) == 8
    assert report.without_truth == ("street/000003",)
    assert report.median_scaled.abs_rel < 1e-6
    words = " ".join(report.table().split())
    assert "1 more images have no ground truth" in words
    assert "street/000003" in words
    assert "NaN" not in report.to_json()


def test_no_ground_truth_at_all_is_refused(samples):
    empty = [s._replace(ground_truth=np.zeros((16, 32))) for s in samples]
    with pytest.raises(ValueError, match="all 9 images is empty") as error:
        evaluate_depth(lambda image: np.ones((2, 2)), empty, GENERIC)
    assert "\n" not in str(error.value)


def test_an_image_without_ground_truth_is_not_predicted(samples):
    samples[0] = samples[0]._replace(ground_truth=None)
    calls = []

    def predict(image):
        calls.append(image[0, 0, 0])
        return np.ones((4, 4))

    evaluate_depth(predict, samples, GENERIC)
    assert calls == list(range(1, 9))


def test_predictor_that_fails_on_an_image_is_named_with_it(samples):
    def predict(image):
        bad = image[0, 0, 0] == 5
        return np.full((4, 4), np.nan if bad else 1.0)

    with pytest.raises(ValueError, match=r"ours, street/000005: .*finite"):
        evaluate_depth(predict, samples, GENERIC)


def test_ground_plane_without_intrinsics_is_refused(samples):
    sample = samples[0]._replace(intrinsics=None)
    with pytest.raises(ValueError, match=r"ground plane, .*needs .*intrinsics"):
        evaluate_depth(
            lambda image: np.ones((2, 2)),
            [sample],
            GENERIC,
            {"ground plane": baselines.ground_plane()},
        )


def test_no_samples_and_a_doubled_name_are_refused(samples):
    with pytest.raises(ValueError, match="no samples"):
        evaluate_depth(lambda image: np.ones((2, 2)), [], GENERIC)
    with pytest.raises(ValueError, match="both called 'ours'"):
        evaluate_depth(
            lambda image: np.ones((2, 2)),
            samples,
            GENERIC,
            {"ours": baselines.constant_depth()},
        )


# === Moving objects ===


def test_errors_on_moving_objects_are_told_apart(samples):
    """A predictor that is right but on moving objects, 50 % too far."""
    moving = with_moving(samples)

    def predict(image):
        index = image[0, 0, 0]
        truth = samples[index].ground_truth
        return np.where(moving[index].moving, 1.5, 1.0) * np.where(
            truth > 0, truth, 1
        )

    report = evaluate_depth(predict, moving, GENERIC)
    for image in report.per_image:
        scale = image.median_scaled.scale
        assert image.moving.abs_rel == pytest.approx(1.5 * scale - 1, rel=1e-5)
        assert image.static.abs_rel == pytest.approx(1 - scale, rel=1e-5)
        counted = image.moving.valid_pixels + image.static.valid_pixels
        assert counted == image.median_scaled.valid_pixels
    assert report.moving_count == 9
    assert report.moving.abs_rel > report.static.abs_rel
    assert "pixels on moving objects (9 images)" in report.table()


def test_images_without_moving_objects_are_not_in_their_mean(samples):
    mixed = with_moving(samples[:4], 8) + with_moving(samples[4:], 0)
    report = evaluate_depth(lambda image: np.ones((2, 2)), mixed, GENERIC)
    assert report.moving_count == 4
    means = [image.moving.abs_rel for image in report.per_image[:4]]
    assert report.moving.abs_rel == pytest.approx(np.mean(means))
    assert all(image.moving is None for image in report.per_image[4:])
    assert all(image.static for image in report.per_image)


def test_without_masks_nothing_is_said_of_moving_objects(report):
    assert report.moving is None
    assert report.static is None
    assert "moving" not in report.table()


def test_mask_of_another_size_is_refused(samples):
    wrong = samples[0]._replace(moving=np.zeros((8, 32), bool))
    with pytest.raises(ValueError, match=r"street/000000: .*\[8, 32\]"):
        evaluate_depth(lambda image: np.ones((2, 2)), [wrong], GENERIC)


# === Watching and reading back ===


def test_watch_sees_each_image_that_counts_with_its_errors(samples):
    samples[2] = samples[2]._replace(ground_truth=None)
    seen = []
    report = evaluate_depth(
        lambda image: np.ones((4, 4)),
        samples,
        GENERIC,
        watch=lambda sample, depth, errors: seen.append((sample.name, errors)),
    )
    assert seen == [(i.name, i.median_scaled) for i in report.per_image]


def test_report_is_read_back_from_its_json(samples):
    report = evaluate_depth(
        lambda image: np.ones((4, 4)),
        with_moving(samples),
        EIGEN,
        {"ground plane": baselines.ground_plane()},
    )
    assert DepthReport.from_dict(json.loads(report.to_json())) == report


@pytest.mark.parametrize("content", [{}, {"name": 3}, {"protocol": []}])
def test_other_json_is_no_report(content):
    with pytest.raises(ValueError, match="scdepth evaluate depth"):
        DepthReport.from_dict(content)


def test_depth_in_metres_is_judged_at_the_calibrated_scale(rng):
    """A tenth too far everywhere is an AbsRel of 0.1, which a scale fitted to
    the truth hides.
    """
    truth = rng.uniform(2, 40, (3, 12, 16)).astype(np.float32)
    images = np.zeros((3, 12, 16, 3), np.uint8)
    images[:, 0, 0, 0] = range(3)
    samples = [(f"s/{i}", images[i], truth[i]) for i in range(3)]
    report = evaluate_depth(
        lambda image: truth[image[0, 0, 0]] / 20,
        samples,
        GENERIC,
        metres_per_unit=22.0,
    )
    assert report.metric_scaled.abs_rel == pytest.approx(0.1, rel=1e-5)
    assert report.global_scaled.abs_rel == pytest.approx(0.0, abs=1e-6)
    assert "in metres, as calibrated" in report.table()
    content = json.loads(report.to_json())
    assert DepthReport.from_dict(content).metric_scaled == report.metric_scaled
