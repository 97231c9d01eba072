"""Agreement with the program `evo`, by golden figures and, where it is
installed (on PATH, or in the folder that SCDEPTH_EVO names), by running it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from scdepth_tf.metrics import read_trajectory, trajectory_errors
from tests.metrics import evo, trajectories

GOLDEN = json.loads(Path(__file__).with_name("evo_golden.json").read_text())
MEANS = {
    "rpe_translation": "rpe_translation_mean",
    "rpe_rotation": "rpe_rotation_mean",
}


def agree(truth, figures):
    """Every figure of evo against ours, on the perturbed truth."""
    estimate = trajectories.perturbed(truth)
    for alignment, fields in figures.items():
        ours = trajectory_errors(truth, estimate, alignment)
        for field, theirs in fields.items():
            assert getattr(ours, field) == pytest.approx(
                theirs["rmse"], abs=1e-6
            )
            if field in MEANS:
                assert getattr(ours, MEANS[field]) == pytest.approx(
                    theirs["mean"], abs=1e-6
                )
    assert set(figures) == {"none", "6dof", "7dof"}


@pytest.fixture
def evo_bin():
    folder = os.environ.get("SCDEPTH_EVO") or shutil.which("evo_ape")
    if not folder:
        pytest.skip("evo is not installed (PATH or SCDEPTH_EVO)")
    folder = Path(folder)
    return folder if folder.is_dir() else folder.parent


def kitti(shared_data, number):
    file = shared_data / "splits" / "kitti_odometry_poses" / f"{number}.txt"
    return read_trajectory(file).poses


def test_ate_and_rpe_are_those_of_evo():
    agree(trajectories.winding(), GOLDEN["figures"]["winding"])


@pytest.mark.parametrize("number", ["09", "10"])
def test_ate_and_rpe_of_kitti_drives_are_those_of_evo(shared_data, number):
    truth = kitti(shared_data, number)
    agree(truth, GOLDEN["figures"][f"kitti {number}"])


def test_the_installed_evo_says_the_same_of_a_kitti_drive(
    evo_bin, shared_data, tmp_path
):
    truth = kitti(shared_data, "10")
    estimate = trajectories.perturbed(truth)
    agree(truth, evo.figures(evo_bin, truth, estimate, tmp_path))


def test_the_installed_evo_reads_our_tum_files_alike(evo_bin, tmp_path):
    truth = trajectories.winding()
    estimate = trajectories.perturbed(truth)
    agree(truth, evo.figures(evo_bin, truth, estimate, tmp_path, "tum"))
