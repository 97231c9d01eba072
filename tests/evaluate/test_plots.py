import numpy as np
import pytest
from PIL import Image

from scdepth_tf.evaluate import evaluate_consistency, evaluate_odometry, plots
from scdepth_tf.evaluate.compare import compare_depth
from scdepth_tf.metrics import GENERIC, baselines
from tests.evaluate import oracles
from tests.evaluate.test_compare import report
from tests.metrics.trajectories import perturbed, winding


def is_a_picture(path, minimum_colors=20):
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    colors = np.unique(pixels.reshape(-1, 3), axis=0)
    return len(colors) >= minimum_colors


def test_trajectories_are_drawn(tmp_path):
    truth = winding(60)
    still = np.tile(np.eye(4), (60, 1, 1))
    odometry = evaluate_odometry(
        {"bends": (truth, perturbed(truth)), "still": (truth, still)}
    )
    plots.plot_odometry(odometry, tmp_path / "odometry.png")
    assert is_a_picture(tmp_path / "odometry.png")


def test_scale_and_disagreement_are_drawn(tmp_path):
    scenes = oracles.write_scenes(tmp_path / "data", frames=4)
    oracle = oracles.Oracle(scenes, growth=0.02)
    found = evaluate_consistency(
        oracle.depth,
        oracle.motion,
        scenes,
        GENERIC,
        {"constant depth": baselines.constant_depth()},
        gaps=(1,),
    )
    plots.plot_consistency(found, tmp_path / "consistency.png")
    assert is_a_picture(tmp_path / "consistency.png")


def test_runs_are_drawn_side_by_side(tmp_path):
    found = compare_depth({"old": report(0.2), "new": report(0.1)})
    plots.plot_comparison(found, tmp_path / "comparison.svg")
    svg = (tmp_path / "comparison.svg").read_text()
    assert svg.lstrip().startswith("<?xml")


def test_unknown_formats_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"must end with \.png, \.svg"):
        plots.check_format(tmp_path / "plot.gif")
