import dataclasses
import json

import numpy as np
import pytest

from scdepth_tf.evaluate import (
    contiguous_parts,
    evaluate_odometry,
    predict_trajectory,
)
from scdepth_tf.metrics.odometry import from_first_camera
from tests.evaluate import oracles
from tests.metrics.trajectories import perturbed, straight, winding


@pytest.fixture
def scenes(tmp_path):
    return oracles.write_scenes(tmp_path)


def test_predicted_trajectory_of_the_oracle_is_the_true_one(scenes):
    oracle = oracles.Oracle(scenes)
    seen = []
    estimate = predict_trajectory(
        oracle.motion, scenes[1], lambda *counts: seen.append(counts)
    )
    true = from_first_camera(scenes[1].poses)
    true[:, :3, 3] /= oracles.UNIT
    np.testing.assert_allclose(estimate, true, atol=1e-9)
    assert seen[-1] == (8, 8)


def test_report_holds_every_alignment_and_the_baselines():
    truth = winding()
    report = evaluate_odometry({"bends": (truth, perturbed(truth))})
    (bends,) = report.sequences
    assert list(bends.errors) == ["none", "scale", "6dof", "7dof"]
    assert bends.baselines["straight ahead"].ate > 5 * bends.errors["7dof"].ate
    assert bends.baselines["standing still"].t_err > 50
    assert bends.snippets.count == 396
    aligned_truth, aligned = bends.aligned()
    off = np.linalg.norm((aligned - aligned_truth)[:, :3, 3], axis=-1)
    assert np.sqrt((off**2).mean()) == pytest.approx(bends.errors["7dof"].ate)


def test_a_straight_drive_is_no_feat():
    report = evaluate_odometry({"road": (straight(50), straight(50))})
    (road,) = report.sequences
    assert road.baselines["straight ahead"].ate < 1e-9


def test_standing_still_is_reported_without_alignment():
    still = np.tile(np.eye(4), (50, 1, 1))
    report = evaluate_odometry({"road": (straight(50), still)})
    (road,) = report.sequences
    assert list(road.errors) == ["none"]
    assert "road" in report.table()
    road.aligned()


def test_table_fits_and_marks_what_cannot_be_measured():
    truth = straight(30)
    table = evaluate_odometry({"short": (truth, truth)}).table()
    assert max(map(len, table.splitlines())) <= 80
    (row,) = [line for line in table.splitlines() if "7dof  " in line]
    assert row.split()[-3:] == ["-", "-", "0"]


def test_table_says_that_a_path_is_shorter_than_every_segment():
    short, long = straight(30), winding()
    table = evaluate_odometry({"short": (short, short)}).table()
    assert "Trajectory errors of 1 sequence." in table
    assert "--lengths" in table
    assert "--lengths" not in evaluate_odometry({"long": (long, long)}).table()


def test_refining_is_shown_beside_what_was_before(tmp_path):
    truth = winding()
    report = evaluate_odometry(
        {"bends": (truth, truth)},
        name="refined",
        unrefined={"bends": perturbed(truth)},
    )
    before = evaluate_odometry({"bends": (truth, perturbed(truth))})
    (bends,), (alone,) = report.sequences, before.sequences
    assert bends.unrefined == alone.errors
    assert bends.errors["7dof"].ate < 1e-9
    table = report.table()
    rows = [line.split()[:2] for line in table.splitlines()]
    assert ["before", "7dof"] in rows
    assert ["refined", "7dof"] in rows
    ate, t_err = (getattr(alone.errors["7dof"], n) for n in ("ate", "t_err"))
    expected = f"ATE {ate:.3f} -> 0.000 m, t_err {t_err:.2f} -> 0.00 %"
    assert expected in table
    report.write_json(tmp_path / "o.json")
    (content,) = json.loads((tmp_path / "o.json").read_text())["sequences"]
    assert content["unrefined"]["7dof"]["ate"] == ate


def test_json_holds_all_errors(tmp_path):
    truth = winding()
    report = evaluate_odometry({"bends": (truth, perturbed(truth))})
    report.write_json(tmp_path / "odometry.json")
    content = json.loads((tmp_path / "odometry.json").read_text())
    (bends,) = content["sequences"]
    expected = report.sequences[0].errors["7dof"]
    assert bends["errors"]["7dof"] == json.loads(
        json.dumps(dataclasses.asdict(expected))
    )
    assert bends["snippets"]["count"] == 396


def test_bad_sequences_are_named():
    with pytest.raises(ValueError, match="road: 4 estimated poses for 5"):
        evaluate_odometry({"road": (straight(5), straight(4))})
    with pytest.raises(ValueError, match="no sequence"):
        evaluate_odometry({})


def test_motion_that_is_not_finite_is_named(scenes):
    with pytest.raises(ValueError, match=r"a: .* to frame 1 is not finite"):
        predict_trajectory(lambda *pair: np.full((4, 4), np.nan), scenes[0])


def test_scenes_are_cut_at_gaps_in_their_frame_numbers(scenes):
    assert contiguous_parts(scenes[0]) == [scenes[0]]
    numbers = (3, 4, 5, 9, 11, 12, 13, 14)
    cut = dataclasses.replace(scenes[0], frame_numbers=numbers)
    parts = contiguous_parts(cut)
    assert [part.name for part in parts] == ["a/3-5", "a/11-14"]
    assert [len(part) for part in parts] == [3, 4]
    np.testing.assert_array_equal(parts[1].poses, scenes[0].poses[4:])
