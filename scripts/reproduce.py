r"""The paper's tables, on a machine that has the data.

    python scripts/reproduce.py eigen KITTI_RAW --out OUT --imagenet FILE
    python scripts/reproduce.py odometry KITTI_ODOMETRY --out OUT ...
    python scripts/reproduce.py indoor NYU --out OUT ...

Each looks whether the data is all there, builds its dataset, trains with the
published recipe, evaluates with the published protocol, and writes
OUT/table.md: the published figures beside ours. May be stopped and started
again; what is finished stays. `--rehearse` takes every step with two training
steps at a small size, in OUT/rehearsal, to try out data and disk before a card
is busy for a day.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

try:
    import fcntl
except ModuleNotFoundError:  # Windows has no such locks
    fcntl = None

import tyro

from scdepth_tf.data import kitti, kitti_odometry, open_scenes
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
INDOOR_PAIRS = {
    "resnet18": Published(_RELEASE, (0.143, 0.060, 0.538, 0.812, 0.951, 0.986)),
    "resnet50": Published(_RELEASE, (0.142, 0.060, 0.529, 0.813, 0.952, 0.987)),
}
"""Trained on rectified pairs."""
ODOMETRY = {
    "09": Published(_RELEASE, (7.31, 3.05)),
    "10": Published(_RELEASE, (7.79, 4.90)),
}


NYU_TEST_IMAGES = 654
_PAIR_EPOCHS, _PAIR_BATCH = 50, 16
"""Of the published training on pairs, whose epochs see every pair once."""
_TRAINING_SEQUENCES = [f"{number:02d}" for number in range(9)]


@dataclasses.dataclass(frozen=True)
class _Table:
    decimals: ClassVar[int] = 3
    """Of the published table."""

    data: tyro.conf.Positional[Path]
    """The data as it comes from its makers."""

    out: Path
    """Folder for dataset, run, figures and table."""

    imagenet: Path | None = None
    """torchvision's ImageNet weights of the depth encoder (.pth), which the
    published trainings start from."""

    pose_imagenet: Path | None = None
    """The same of the pose encoder, always a ResNet-18; --imagenet by
    default."""

    rehearse: bool = False
    """Two steps at a small size, on any part of the data, in OUT/rehearsal;
    evaluated on what it trained or validated with where the test data is not
    there. The figures mean nothing."""

    def run(self) -> None:
        """Check, build, train, evaluate, compare."""
        if not self.data.is_dir():
            raise FileNotFoundError(
                f"{self.data}: no such folder; give the one into which the "
                "data was unpacked"
            )
        self._check_weights()
        self._check_data()
        with _alone_in(self._folder):
            self._reproduce()

    @property
    def _folder(self) -> Path:
        """A rehearsal's run is no start of the real one."""
        return self.out / "rehearsal" if self.rehearse else self.out

    def _check_data(self) -> None:
        """Complain before the work of a day, not after."""
        raise NotImplementedError

    def _reproduce(self) -> None:
        raise NotImplementedError

    @property
    def _depth_encoder(self) -> str:
        return self.encoder

    def _check_weights(self) -> None:
        wanted = {
            "--imagenet": (self.imagenet, self._depth_encoder),
            "--pose-imagenet": (self.pose_imagenet, "resnet18"),
        }
        if self.imagenet and not self.pose_imagenet:
            if self._depth_encoder != "resnet18":
                raise ValueError(
                    f"--imagenet {self.imagenet} is for the depth encoder, a "
                    f"{self._depth_encoder}; the pose encoder is a resnet18: "
                    "give its file as --pose-imagenet"
                )
        for option, (path, encoder) in wanted.items():
            if path and not path.is_file():
                raise FileNotFoundError(
                    f"{option} {path}: no such file; give torchvision's of a "
                    f"{encoder}"
                )
            if path:
                _check_encoder(option, path, encoder)

    def _train(self, data: str, recipe: str, *more: str) -> Path:
        run = self._folder / "run"
        weights = []
        for option, path in (
            ("--model.encoder-weights", self.imagenet),
            ("--model.pose-encoder-weights", self.pose_imagenet),
        ):
            weights += [option, str(path)] if path else []
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
        version = self._folder / "tfds" / kind / "1.0.0"
        if not version.is_dir():
            _call(
                *("tfds_kitti", kind, "--manual-dir", str(self.data)),
                *("--data-dir", str(self._folder / "tfds")),
            )
        return f"tfds:{version}"

    def _complain(self, expected: str, found: str, remedy: str) -> None:
        raise ValueError(
            f"{self.data}: expected {expected}; {found}; {remedy}"
            + ("" if self.rehearse else ", or try the path with --rehearse")
        )

    def _stand_in(self, missing: str, split: str) -> str:
        """What a rehearsal evaluates on in place of the test data."""
        sys.stderr.write(
            f"{missing}: this rehearsal is evaluated on its {split} split\n"
        )
        return split

    def _write(
        self,
        columns: dict[str, str],
        rows: dict[str, tuple[Published | None, dict[str, float]]],
    ) -> None:
        lines = [
            "| | " + " | ".join(columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for name, (published, ours) in rows.items():
            if published:
                theirs = " | ".join(map(self._cell, published.figures))
                lines.append(f"| {name}, {published.source} | {theirs} |")
            cells = [self._cell(ours.get(key)) for key in columns.values()]
            lines.append(f"| {name}, scdepth-tf | {' | '.join(cells)} |")
        if self.rehearse:
            lines.append("\nA rehearsal: our figures mean nothing.")
        text = "\n".join(lines) + "\n"
        write_whole(self._folder / "table.md", text)
        sys.stdout.write(text)

    def _cell(self, value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return "–"
        return f"{value:.{self.decimals}f}"


@dataclasses.dataclass(frozen=True)
class Eigen(_Table):
    """Depth on the 697 Eigen test frames (KITTI raw)."""

    encoder: Literal["resnet18", "resnet50"] = "resnet18"

    def _check_data(self) -> None:
        from tfds_kitti import splits

        cameras = kitti.camera_folders(self.data)
        drives = {name.rpartition("/")[0] for name in cameras}
        trained = drives - splits.eigen_test_drives()
        wanted, there = self._test_frames()
        if not trained or (not self.rehearse and there < wanted):
            self._complain(
                "KITTI's synced drives (DATE/DATE_drive_NNNN_sync), among "
                f"them those of the {wanted} Eigen test frames",
                f"there are {len(drives)} drives, {len(trained)} of them for "
                f"training, and {there} of the test frames",
                "unpack the missing drives",
            )

    def _test_frames(self) -> tuple[int, int]:
        """How many there should be, and how many there are."""
        from tfds_kitti import splits

        cameras = kitti.camera_folders(self.data)
        frames = splits.eigen_test_frames()
        there = [
            frame
            for frame in frames
            if _has_frame(
                cameras.get(f"{frame.drive}/image_{frame.camera}"), frame.number
            )
        ]
        return len(frames), len(there)

    def _reproduce(self) -> None:
        data = self._build("kitti_raw/")
        run = self._train(data, f"kitti_{self.encoder}")
        report = self._folder / "depth.json"
        _call(
            *("scdepth_tf", "evaluate", "depth", str(run), data),
            *("--split", self._split(), "--protocol", "eigen"),
            *("--json", str(report)),
        )
        self._write(
            DEPTH_COLUMNS,
            {f"Eigen, {self.encoder}": (EIGEN[self.encoder], _depth(report))},
        )

    def _split(self) -> str:
        if self._test_frames()[1]:
            return "test"
        return self._stand_in("none of Eigen's test frames is there", "val")


@dataclasses.dataclass(frozen=True)
class Odometry(_Table):
    """Trajectories of sequences 09 and 10, trained on 00 to 08.

    DATA is where data_odometry_color.zip (or _gray), _calib.zip and _poses.zip
    were unpacked, with or without their folder `dataset`.
    """

    decimals: ClassVar[int] = 2

    cameras: Literal["color", "gray"] = "color"
    """Which pictures were downloaded."""

    @property
    def _depth_encoder(self) -> str:
        return "resnet50"

    @property
    def _camera_folders(self) -> tuple[str, str]:
        if self.cameras == "color":
            return "image_2", "image_3"
        return "image_0", "image_1"

    def _check_data(self) -> None:
        if self.rehearse:
            self._check_for_rehearsal()
            return
        missing = [
            name
            for sequence in (*_TRAINING_SEQUENCES, *ODOMETRY)
            for name in self._missing(sequence)
        ]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            self._complain(
                f"sequences 00 to 10 ({self.cameras}) and poses of 09 and 10",
                f"{', '.join(missing[:3])}{more} missing, {self._found()}",
                self._remedy(),
            )

    def _check_for_rehearsal(self) -> None:
        usable = [
            sequence
            for sequence in _TRAINING_SEQUENCES
            if not self._missing(sequence, ("left", "calibration", "poses"))
        ]
        if not usable:
            self._complain(
                f"one of the sequences 00 to 08 ({self.cameras}) with poses",
                self._found(),
                self._remedy(),
            )

    def _remedy(self) -> str:
        return (
            f"unpack data_odometry_{self.cameras}.zip, _calib.zip and "
            "_poses.zip into this one folder"
        )

    def _found(self) -> str:
        pictures = [
            f"{sequence}/{camera.name}"
            for sequence, path in self._sequences().items()
            for camera in sorted(path.glob("image_[0-3]"))
        ]
        more = ", …" if len(pictures) > 4 else ""
        return f"there is {', '.join(pictures[:4]) or 'no picture'}{more}"

    def _sequences(self) -> dict[str, Path]:
        return kitti_odometry.sequence_folders(self.data)

    def _missing(
        self,
        sequence: str,
        parts: tuple[str, ...] = ("left", "right", "calibration"),
    ) -> list[str]:
        """Files and folders that a sequence lacks; of those to test on, the
        poses always count.
        """
        folders = self._sequences()
        if sequence not in folders:
            return [f"sequences/{sequence}"]
        path = folders[sequence]
        left, right = self._camera_folders
        poses = path.parent.parent / "poses" / f"{sequence}.txt"
        needed = {
            "left": path / left,
            "right": path / right,
            "calibration": path / "calib.txt",
            "poses": poses,
        }
        if sequence in ODOMETRY:
            parts = (*parts, "poses")
        return [
            str(needed[part].relative_to(path.parent.parent))
            for part in dict.fromkeys(parts)
            if not needed[part].exists()
        ]

    def _reproduce(self) -> None:
        data = self._build(f"kitti_odometry/{self.cameras}-")
        run = self._train(data, "kitti_resnet50")
        report = self._folder / "odometry.json"
        _call(
            *("scdepth_tf", "evaluate", "odometry", str(run), data),
            *("--split", self._split(), "--json", str(report)),
            # The published figures are of the left camera.
            *("--scenes", self._camera_folders[0]),
            *(("--lengths", "10", "20") if self.rehearse else ()),
        )
        ours = {
            sequence["name"].split("/")[0]: sequence["errors"]["7dof"]
            for sequence in json.loads(report.read_text())["sequences"]
        }
        self._write(
            ODOMETRY_COLUMNS,
            {
                name: (ODOMETRY.get(name), ours.get(name, {}))
                for name in (*ODOMETRY, *sorted(ours.keys() - ODOMETRY.keys()))
            },
        )

    def _split(self) -> str:
        missing = [
            sequence
            for sequence in ODOMETRY
            if self._missing(sequence, ("left", "calibration"))
        ]
        if len(missing) < len(ODOMETRY):
            return "test"
        return self._stand_in(
            f"sequences {' and '.join(missing)} are not there", "train"
        )


@dataclasses.dataclass(frozen=True)
class Indoor(_Table):
    """Depth on NYUv2, trained on its video or on rectified pairs.

    DATA is sc_depth_pl's set `nyu` (folders training and testing), or
    Unsupervised-Indoor-Depth's rectified pairs in place of training, or a
    folder of scenes as docs/training.md has it, its test pictures in scenes of
    test.txt with depth maps.
    """

    encoder: Literal["resnet18", "resnet50"] = "resnet18"

    def _check_data(self) -> None:
        try:
            kind = f"{self._pairs} rectified pairs" if self._pairs else "video"
            tests = self._count_tests()
        except (FileNotFoundError, ValueError) as error:
            raise ValueError(
                f"{error}; expected sc_depth_pl's set `nyu` (training and "
                "testing/color, testing/depth), or rectified pairs in place of "
                "its training, or scenes with test images and depth in those "
                "of test.txt"
            ) from error
        sys.stderr.write(f"{self.data}: trains on {kind}\n")
        if tests != NYU_TEST_IMAGES:
            sys.stderr.write(
                f"{self.data}: {tests} test images with depth, the published "
                f"figures are of {NYU_TEST_IMAGES}\n"
            )

    @functools.cached_property
    def _pairs(self) -> int:
        """How many pairs train; 0 where it is video."""
        return sum(scene.is_pair for scene in open_scenes(self.data, "train"))

    def _count_tests(self) -> int:
        try:
            return _with_depth(self.data, "test")
        except (FileNotFoundError, ValueError):
            if self.rehearse and _with_depth(self.data, "val"):
                return 0
            raise

    def _reproduce(self) -> None:
        run = self._train(
            str(self.data),
            "indoor_resnet18",
            *("--model.depth-encoder", self.encoder),
            *(self._whole_epochs() if self._pairs else ()),
        )
        report = self._folder / "depth.json"
        _call(
            *("scdepth_tf", "evaluate", "depth", str(run), str(self.data)),
            *("--split", self._split(), "--protocol", "nyu_release"),
            *("--json", str(report)),
        )
        name, published = "NYUv2", INDOOR
        if self._pairs:
            name, published = "NYUv2 rectified pairs", INDOOR_PAIRS
        self._write(
            INDOOR_COLUMNS,
            {
                f"{name}, {self.encoder}": (
                    published[self.encoder],
                    _depth(report),
                )
            },
        )

    def _whole_epochs(self) -> tuple[str, ...]:
        """Options for the length of a training on pairs."""
        if self.rehearse:  # has its own
            return ()
        steps = math.ceil(self._pairs / _PAIR_BATCH)
        return (
            *("--epochs", str(_PAIR_EPOCHS)),
            *("--batch-size", str(_PAIR_BATCH)),
            *("--steps-per-epoch", str(steps)),
        )

    def _split(self) -> str:
        if self._count_tests():
            return "test"
        return self._stand_in(f"{self.data} has no test images", "val")


def _has_frame(camera: Path | None, number: int) -> bool:
    return camera is not None and any(
        (camera / f"{number:010d}{suffix}").is_file()
        for suffix in (".png", ".jpg")
    )


def _with_depth(data: Path, split: str) -> int:
    """How many frames of a split have ground truth.

    Raises:
        ValueError: none, or there is no such split.
    """
    count = sum(
        depth is not None
        for scene in open_scenes(data, split)
        for depth in scene.depths or ()
    )
    if not count:
        raise ValueError(f"{data}: no frame of its {split} split has depth")
    return count


def _check_encoder(option: str, path: Path, encoder: str) -> None:
    from scdepth_tf.nets.published import open_published

    found = open_published(path)[0].encoder
    if found != encoder:
        raise ValueError(
            f"{option} {path} holds a {found}, expected a {encoder}; give "
            "torchvision's file of that"
        )


def _depth(report: Path) -> dict[str, float]:
    return json.loads(report.read_text())["median_scaled"]


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps a second start out of `folder`, also while a step of a start that
    was killed is still at work: steps inherit the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ValueError(
            f"another process is at work in {folder}; wait until it has ended, "
            "or end it"
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def _call(*arguments: str) -> None:
    command = [sys.executable, "-m", *arguments]
    sys.stderr.write(f"$ {' '.join(command[1:])}\n")
    step = subprocess.Popen(command, close_fds=False)
    try:
        code = step.wait()
    finally:
        if step.poll() is None:  # we are being ended: the step is, too
            step.terminate()
            step.wait()
    if code:
        raise SystemExit(code)


def main(arguments: list[str] | None = None) -> int:
    """Reproduces a table; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subcommand = tyro.conf.subcommand
    table = tyro.cli(
        Annotated[Eigen, subcommand("eigen")]
        | Annotated[Odometry, subcommand("odometry")]
        | Annotated[Indoor, subcommand("indoor")],
        description=__doc__,
        args=arguments,
    )
    try:
        table.run()
    except (ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"reproduce: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "reproduce: interrupted; the same command goes on from here\n"
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
