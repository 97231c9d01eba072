"""Runs the program `evo` (GPL-3: never imported) on two trajectories."""

import json
import subprocess
import zipfile
from pathlib import Path

from scdepth_tf.metrics import write_kitti, write_tum

ALIGNED = {"none": ["--align_origin"], "6dof": ["-a"], "7dof": ["-a", "-s"]}
"""evo's options for our alignments."""

MEASURED = {
    "ate": ("evo_ape", ["-r", "trans_part"]),
    "rpe_translation": (
        "evo_rpe",
        ["-r", "trans_part", "-d", "1", "-u", "f"],
    ),
    "rpe_rotation": ("evo_rpe", ["-r", "angle_deg", "-d", "1", "-u", "f"]),
}
"""evo's program and options for our fields."""


def commands():
    """What is run, to read beside the figures."""
    return [
        " ".join(
            [program, "kitti", "truth.txt", "estimate.txt", *measure, *how]
        )
        for program, measure in MEASURED.values()
        for how in ALIGNED.values()
    ]


def version(folder):
    answer = _run([folder / "evo", "pkg", "--version"], folder)
    return answer.strip().splitlines()[-1]


def figures(folder, truth, estimate, work, layout="kitti"):
    """{alignment: {field: {"rmse": …, "mean": …}}} as evo finds them."""
    write = {"kitti": write_kitti, "tum": write_tum}[layout]
    write(work / "truth.txt", truth)
    write(work / "estimate.txt", estimate)
    found = {}
    for alignment, how in ALIGNED.items():
        found[alignment] = {}
        for field, (program, measure) in MEASURED.items():
            result = work / f"{layout}-{alignment}-{field}.zip"
            files = [work / "truth.txt", work / "estimate.txt"]
            _run(
                [
                    folder / program,
                    layout,
                    *files,
                    *measure,
                    *how,
                    "--no_warnings",
                    "--save_results",
                    result,
                ],
                work,
            )
            with zipfile.ZipFile(result) as archive:
                stats = json.loads(archive.read("stats.json"))
            found[alignment][field] = {
                "rmse": stats["rmse"],
                "mean": stats["mean"],
            }
    return found


def _run(command, home):
    done = subprocess.run(
        [str(word) for word in command],
        check=True,
        capture_output=True,
        text=True,
        env={"HOME": str(Path(home).resolve()), "PATH": "/usr/bin:/bin"},
    )
    return done.stdout
