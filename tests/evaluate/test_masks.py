import json

import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import losses
from scdepth_tf.evaluate import evaluate_masks
from scdepth_tf.evaluate.masks import auto_mask
from scdepth_tf.metrics import baselines
from tests.evaluate import oracles
from tests.evaluate.oracles import Oracle


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    scenes = oracles.write_scenes(
        tmp_path_factory.mktemp("car"), ("a",), frames=5, car=True
    )
    oracle = Oracle(scenes)
    return evaluate_masks(
        oracle.depth,
        oracle.motion,
        lambda image: image / 255,
        scenes,
        {"constant depth": baselines.constant_depth()},
    )


def test_exact_depth_finds_the_moving_car(report):
    assert report.pairs == 4
    assert report.ours.moving.auc > 0.97
    assert report.ours.moving.average_precision > 0.9
    car = 20 * 30 / (64 * 128)
    assert report.ours.moving.base_rate == pytest.approx(car, rel=0.2)
    # Its points should have come 0.3 m nearer, and did not; at its edges
    # they are compared with the wall.
    inside = 1 - 0.3 / (2 * oracles.CAR_DEPTH - 0.3)
    assert 0.9 * inside < report.ours.self_mask["moving"] < inside
    assert report.ours.self_mask["visible"] > 0.995


def test_blind_depth_finds_no_car(report):
    (blind,) = [r for r in report.baselines if r.name == "constant depth"]
    assert blind.moving.auc == pytest.approx(0.5, abs=0.05)


def test_oracle_is_as_good_as_the_truth(report):
    (truth,) = [row for row in report.baselines if row.name == "true depth"]
    assert truth.moving.auc == pytest.approx(report.ours.moving.auc, abs=0.01)
    assert truth.removed == pytest.approx(report.ours.removed, abs=0.01)


def test_auto_mask_removes_what_keeps_its_place_in_the_image(report):
    # The car looks the same in the next frame: not warping is perfect.
    assert report.ours.removed["moving"] == 1
    assert report.ours.removed["visible"] < 0.5
    assert report.ours.removed_moving > 2 * report.ours.moving_share


def test_what_the_car_covers_is_hidden(report):
    assert report.ours.hidden.positives > 10
    assert report.ours.hidden.auc > 0.9
    assert report.ours.self_mask["hidden"] < report.ours.self_mask["visible"]


def test_table_fits_and_json_is_whole(report):
    assert max(map(len, report.table().splitlines())) <= 80
    content = json.loads(report.to_json())
    assert content["ours"]["moving"]["auc"] == report.ours.moving.auc


def test_auto_mask_is_that_of_the_loss(rng):
    target, warped, source = rng.random((3, 9, 12, 3)).astype(np.float32)
    theirs = losses.auto_mask(
        *(
            losses.standardise(tf.constant(image[None]))
            for image in (target, warped, source)
        )
    )
    np.testing.assert_array_equal(
        auto_mask(target, warped, source), theirs.numpy()[0, ..., 0] > 0
    )


def test_scenes_without_masks_are_refused(tmp_path):
    scenes = oracles.write_scenes(tmp_path)
    oracle = Oracle(scenes)
    with pytest.raises(ValueError, match="no scene has depth, poses") as error:
        evaluate_masks(oracle.depth, oracle.motion, np.asarray, scenes)
    assert "\n" not in str(error.value)
