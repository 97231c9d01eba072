import dataclasses
import json

import numpy as np
import pytest

from scdepth_tf.evaluate import consistency, evaluate_consistency
from scdepth_tf.metrics import GENERIC, baselines
from tests.evaluate import oracles
from tests.evaluate.oracles import Oracle

BLIND = {"constant depth": baselines.constant_depth()}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return oracles.write_scenes(tmp_path_factory.mktemp("planes"))


def evaluate(scenes, oracle, **options):
    return evaluate_consistency(
        oracle.depth, oracle.motion, scenes, GENERIC, BLIND, (1, 2), **options
    )


def row(report, name):
    (found,) = [one for one in report.others if one.name == name]
    return found


def test_exact_depth_has_one_scale_and_does_not_disagree(scenes):
    report = evaluate(scenes, Oracle(scenes))
    assert report.ours.spread < 1e-6
    assert report.ours.drift < 1e-6
    assert report.depth.scale_median == pytest.approx(oracles.UNIT)
    # What is left is interpolation at the wall's foot, as for the truth.
    truth = row(report, "true depth")
    for gap in (1, 2):
        assert report.ours.disagreement[gap] < 6e-3
        assert report.ours.disagreement[gap] == pytest.approx(
            truth.disagreement[gap], rel=1e-3
        )
    assert report.ours.motion_scale == pytest.approx(oracles.UNIT)
    assert report.ours.motion_over_depth == pytest.approx(1.0)


def test_injected_drift_is_found(scenes):
    report = evaluate(scenes, Oracle(scenes, growth=0.02))
    # The scale that undoes a depth that shrinks by e^0.02 a frame.
    assert report.ours.drift == pytest.approx(np.exp(2.0) - 1, rel=1e-4)
    assert report.ours.jitter < 1e-6
    for sequence in report.sequences:
        assert sequence.drift.over_sequence == pytest.approx(
            np.exp(0.14) - 1, rel=1e-4
        )
    assert report.ours.abs_rel_median < 1e-6
    assert report.ours.abs_rel_global == pytest.approx(
        np.abs(np.exp(0.02 * (np.arange(8) - 3.5)) - 1).mean(), rel=0.01
    )
    # D_diff sees it too: tanh(0.01) between neighbours.
    still = evaluate(scenes, Oracle(scenes)).ours.disagreement[1]
    assert report.ours.disagreement[1] == pytest.approx(0.01 + still, rel=0.2)
    assert report.ours.disagreement[2] > 1.7 * report.ours.disagreement[1]


def test_predicting_no_motion_is_unmasked_at_true_motion(scenes):
    class Flat(Oracle):
        def depth(self, image):
            return np.ones((16, 32))

    report = evaluate(scenes, Flat(scenes, still=True))
    assert report.ours.disagreement[1] == 0
    assert report.ours.motion_scale is None
    moved = row(report, consistency.TRUE_MOTION).disagreement[1]
    assert moved > 0.005
    blind = row(report, "constant depth").disagreement[1]
    assert moved == pytest.approx(blind, rel=1e-6)


def test_moving_objects_do_not_count(tmp_path):
    scenes = oracles.write_scenes(tmp_path, ("a",), car=True)
    report = evaluate(scenes, Oracle(scenes))
    assert report.masked
    assert "static pixels (exact masks)" in report.table()
    # Occlusion around the car is left; the car itself would add 5 %.
    assert report.ours.disagreement[1] < 0.02
    for path in scenes[0].depths:
        np.savez(path, depth=np.load(path)["depth"])
    with_car = evaluate(scenes, Oracle(scenes))
    assert not with_car.masked
    assert with_car.ours.disagreement[1] > report.ours.disagreement[1]


def test_footage_without_ground_truth_still_disagrees(scenes):
    bare = [dataclasses.replace(s, depths=None, poses=None) for s in scenes]
    report = evaluate(bare, Oracle(scenes, growth=0.02))
    assert report.depth is None
    assert report.ours.spread is None
    assert report.others == ()
    assert report.ours.disagreement[1] == pytest.approx(0.01, rel=0.3)
    assert "nothing is known of the" in report.table()
    assert "spread" not in report.table()
    json.loads(report.to_json())


def test_gaps_in_the_frame_numbers_are_not_walked_over(scenes):
    numbers = (0, 1, 2, 3, 7, 8, 9, 20)
    cut = dataclasses.replace(scenes[0], frame_numbers=numbers)
    report = evaluate([cut], Oracle([cut]))
    assert [s.name for s in report.sequences] == ["a/0-3", "a/7-9"]
    assert report.frames == 7
    assert [len(s.frames) for s in report.sequences] == [4, 3]
    assert report.sequences[0].disagreement[-1] is None


def test_table_prints_baselines_and_fits_eighty_columns(scenes):
    table = evaluate(scenes, Oracle(scenes, growth=0.01)).table()
    assert max(map(len, table.splitlines())) <= 80
    for name in ("ours", "constant depth", "at true motion", "true depth"):
        assert any(line.startswith(name) for line in table.splitlines())


def test_progress_counts_every_prediction_to_its_end(scenes):
    seen = []
    evaluate(
        scenes, Oracle(scenes), progress=lambda *counts: seen.append(counts)
    )
    assert seen == [(done, 32) for done in range(1, 33)]


@pytest.mark.parametrize(
    ("depth", "message"),
    [(np.nan, r"a/000000: .*finite"), (-1.0, r"a/000000: .*> 0")],
)
def test_bad_depth_is_named(scenes, depth, message):
    with pytest.raises(ValueError, match=message):
        evaluate_consistency(
            lambda image: np.full((4, 4), depth),
            Oracle(scenes).motion,
            scenes,
            GENERIC,
        )


def test_bad_motion_is_named(scenes):
    with pytest.raises(ValueError, match=r"a/000001: .*motion is not finite"):
        evaluate_consistency(
            Oracle(scenes).depth,
            lambda target, source: np.full((4, 4), np.nan),
            scenes,
            GENERIC,
        )


def test_no_scenes_and_no_gap_are_refused(scenes):
    oracle = Oracle(scenes)
    with pytest.raises(ValueError, match="no two consecutive frames"):
        evaluate([], oracle)
    with pytest.raises(ValueError, match="1 frame or more"):
        evaluate_consistency(
            oracle.depth, oracle.motion, scenes, GENERIC, gaps=(0, 1)
        )
