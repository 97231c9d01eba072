r"""The paper's tables, on a machine that has the data.

    python scripts/reproduce.py eigen KITTI_RAW --out OUT --imagenet FILE
    python scripts/reproduce.py odometry KITTI_ODOMETRY --out OUT ...
    python scripts/reproduce.py indoor NYU --out OUT ...

Each builds its dataset, trains with the published recipe, evaluates with the
published protocol, and writes OUT/table.md: the published figures beside ours.
May be stopped and started again; what is finished stays. `--rehearse` takes
every step with two training steps at a small size, to try out data and disk
before a card is busy for a day.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from scdepth_tf.files import write_whole

_REHEARSAL = (
    *("--data.image-size", "64", "192", "--batch-size", "1"),
    *("--epochs", "1", "--steps-per-epoch", "2"),
)


@dataclasses.dataclass(frozen=True)
class Published:
    """A row of a published table."""

    source: str
    figures: tuple[float, ...]


DEPTH_COLUMNS = {
    "AbsRel": "abs_rel",
    "SqRel": "sq_rel",
    "RMSE": "rmse",
    "RMSE log": "rmse_log",
    "δ1": "delta1",
    "δ2": "delta2",
    "δ3": "delta3",
}
INDOOR_COLUMNS = {
    "AbsRel": "abs_rel",
    "log10": "log10",
    "RMSE": "rmse",
    "δ1": "delta1",
    "δ2": "delta2",
    "δ3": "delta3",
}
ODOMETRY_COLUMNS = {"t_err, %": "t_err", "r_err, °/100 m": "r_err"}

_RELEASE = "SC-SfMLearner-Release, README"
EIGEN = {
    "resnet18": Published(
        _RELEASE, (0.119, 0.857, 4.950, 0.197, 0.863, 0.957, 0.981)
    ),
    "resnet50": Published(
        _RELEASE, (0.114, 0.813, 4.706, 0.191, 0.873, 0.960, 0.982)
    ),
}
INDOOR = {
    "resnet18": Published(_RELEASE, (0.159, 0.068, 0.608, 0.772, 0.939, 0.982)),
    "resnet50": Published(_RELEASE, (0.157, 0.067, 0.593, 0.780, 0.940, 0.984)),
}
ODOMETRY = {
    "09": Published(_RELEASE, (7.31, 3.05)),
    "10": Published(_RELEASE, (7.79, 4.90)),
}


@dataclasses.dataclass(frozen=True)
class _Table:
    data: tyro.conf.Positional[Path]
    """The data as it comes from its makers."""

    out: Path
    """Folder for dataset, run, figures and table."""

    imagenet: Path | None = None
    """torchvision's ImageNet weights of the encoder (.pth), which the
    published trainings start from."""

    rehearse: bool = False
    """Two steps at a small size, on any part of the data; evaluated on what it
    trained or validated with. The figures mean nothing."""

    def _train(self, data: str, recipe: str, *more: str) -> Path:
        run = self.out / "run"
        weights = ()
        if self.imagenet:
            weights = ("--model.encoder-weights", str(self.imagenet))
        _call(
            *("scdepth_tf", "train", data, "--out", str(run)),
            *("--recipe", recipe, *weights, *more),
            *(_REHEARSAL if self.rehearse else ()),
        )
        return run

    def _build(self, name: str) -> str:
        """The TFDS dataset of a rehearsed or real size."""
        size = "128x416" if self.rehearse else "256x832"
        kind = f"{name}{size}"
        version = self.out / "tfds" / kind / "1.0.0"
        if not version.is_dir():
            _call(
                *("tfds_kitti", kind, "--manual-dir", str(self.data)),
                *("--data-dir", str(self.out / "tfds")),
            )
        return f"tfds:{version}"

    def _split(self, stand_in: str) -> str:
        """The test split; a small sample of the data may have none."""
        return stand_in if self.rehearse else "test"

    def _write(
        self,
        columns: dict[str, str],
        rows: dict[str, tuple[Published, dict[str, float]]],
    ) -> None:
        lines = [
            "| | " + " | ".join(columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for name, (published, ours) in rows.items():
            theirs = " | ".join(f"{value:g}" for value in published.figures)
            lines.append(f"| {name}, {published.source} | {theirs} |")
            cells = [_cell(ours.get(key)) for key in columns.values()]
            lines.append(f"| {name}, scdepth-tf | {' | '.join(cells)} |")
        if self.rehearse:
            lines.append("\nA rehearsal: our figures mean nothing.")
        text = "\n".join(lines) + "\n"
        write_whole(self.out / "table.md", text)
        sys.stdout.write(text)


@dataclasses.dataclass(frozen=True)
class Eigen(_Table):
    """Depth on the 697 Eigen test frames (KITTI raw)."""

    encoder: Literal["resnet18", "resnet50"] = "resnet18"

    def run(self) -> None:
        """Build, train, evaluate, compare."""
        data = self._build("kitti_raw/")
        run = self._train(data, f"kitti_{self.encoder}")
        report = self.out / "depth.json"
        _call(
            *("scdepth_tf", "evaluate", "depth", str(run), data),
            *("--split", self._split("val"), "--protocol", "eigen"),
            *("--json", str(report)),
        )
        self._write(
            DEPTH_COLUMNS,
            {f"Eigen, {self.encoder}": (EIGEN[self.encoder], _depth(report))},
        )


@dataclasses.dataclass(frozen=True)
class Odometry(_Table):
    """Trajectories of sequences 09 and 10, trained on 00 to 08."""

    cameras: Literal["color", "gray"] = "color"
    """Which pictures were downloaded."""

    def run(self) -> None:
        """Build, train, evaluate, compare."""
        data = self._build(f"kitti_odometry/{self.cameras}-")
        run = self._train(data, "kitti_resnet50")
        report = self.out / "odometry.json"
        _call(
            *("scdepth_tf", "evaluate", "odometry", str(run), data),
            *("--split", self._split("train"), "--json", str(report)),
        )
        sequences = json.loads(report.read_text())["sequences"]
        ours = {
            sequence["name"].split("/")[0]: sequence["errors"]["7dof"]
            for sequence in sequences
        }
        self._write(
            ODOMETRY_COLUMNS,
            {
                name: (published, ours.get(name, {}))
                for name, published in ODOMETRY.items()
            },
        )


@dataclasses.dataclass(frozen=True)
class Indoor(_Table):
    """Depth on NYUv2, trained on its video.

    DATA is a folder of scenes as docs/training.md has it, its test pictures in
    scenes of test.txt with depth maps.
    """

    encoder: Literal["resnet18", "resnet50"] = "resnet18"

    def run(self) -> None:
        """Train, evaluate, compare."""
        run = self._train(
            str(self.data),
            "indoor_resnet18",
            *("--model.depth-encoder", self.encoder),
        )
        report = self.out / "depth.json"
        _call(
            *("scdepth_tf", "evaluate", "depth", str(run), str(self.data)),
            *("--split", self._split("val"), "--protocol", "nyu_release"),
            *("--json", str(report)),
        )
        self._write(
            INDOOR_COLUMNS,
            {f"NYUv2, {self.encoder}": (INDOOR[self.encoder], _depth(report))},
        )


def _depth(report: Path) -> dict[str, float]:
    return json.loads(report.read_text())["median_scaled"]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _call(*arguments: str) -> None:
    command = [sys.executable, "-m", *arguments]
    sys.stderr.write(f"$ {' '.join(command[1:])}\n")
    done = subprocess.run(command)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    subcommand = tyro.conf.subcommand
    tyro.cli(
        Annotated[Eigen, subcommand("eigen")]
        | Annotated[Odometry, subcommand("odometry")]
        | Annotated[Indoor, subcommand("indoor")],
        description=__doc__,
    ).run()
