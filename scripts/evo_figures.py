"""Golden figures of tests/metrics/test_evo.py, made by the program `evo`.

    python scripts/evo_figures.py EVO_BIN tests/metrics/evo_golden.json \
        [KITTI_POSES]

EVO_BIN is the folder of `evo_ape` and `evo_rpe` (pip install evo==1.38.1 in
an environment of its own). evo is GPL-3: it is run as a program and never
imported. KITTI_POSES holds 09.txt and 10.txt of KITTI's odometry benchmark;
without it only the drive of our own making is compared.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scdepth_tf.files import write_whole
from scdepth_tf.metrics import read_trajectory
from tests.metrics import evo, trajectories


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("evo_bin", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("kitti_poses", type=Path, nargs="?")
    arguments = parser.parse_args()
    drives = {"winding": trajectories.winding()}
    if arguments.kitti_poses:
        for number in ("09", "10"):
            file = arguments.kitti_poses / f"{number}.txt"
            drives[f"kitti {number}"] = read_trajectory(file).poses
    figures = {}
    for name, truth in drives.items():
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = evo.figures(
                arguments.evo_bin,
                truth,
                trajectories.perturbed(truth),
                Path(folder),
            )
    golden = {
        "made by": "python scripts/evo_figures.py EVO_BIN "
        "tests/metrics/evo_golden.json KITTI_POSES",
        "evo": evo.version(arguments.evo_bin),
        "commands": evo.commands(),
        "figures": figures,
    }
    write_whole(arguments.out, json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
