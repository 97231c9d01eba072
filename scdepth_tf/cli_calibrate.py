"""`scdepth calibrate`: parse first, import later, as `scdepth_tf.cli` does."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from scdepth_tf.config import CalibrateConfig
from scdepth_tf.files import check_can_write, write_whole


@dataclasses.dataclass(frozen=True)
class Calibrate:
    """Find how many metres a run's scene unit is, from anything that is known
    in metres; from then on every export and evaluation knows it.
    """

    run_folder: tyro.conf.Positional[Path]
    """Run directory of `scdepth train`, or a preset; scale.json in it is the
    result."""

    data: tyro.conf.Positional[Path]
    """Scenes of the camera that the network is for: folder of scenes, KITTI
    raw or odometry root, or tfds:NAME."""

    split: Literal["train", "val", "test", "all"] = "all"
    """Which side of the scenes to look at."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all of the split by default."""

    known: Annotated[CalibrateConfig, tyro.conf.arg(name="")] = (
        dataclasses.field(default_factory=CalibrateConfig)
    )

    json: Path | None = None
    """Write the scale, and what it was checked by, here too."""

    def run(self) -> None:
        """Find the scale, say how well it is known, and remember it."""
        from scdepth_tf import data, presets, runs
        from scdepth_tf.calibrate import check_known, find_scale
        from scdepth_tf.metres import parse_distance
        from scdepth_tf.progress import reports

        run = runs.open_run(self.run_folder)
        presets.check_own(run.folder)
        check_can_write(run.folder / runs.SCALE)
        if self.json:
            check_can_write(self.json)
        scenes = [
            dataclasses.replace(
                scene, intrinsics=runs.learned_intrinsics(run, scene)
            )
            for scene in data.open_scenes(self.data, self.split, self.scenes)
        ]
        for one in self.known.distance:
            parse_distance(one)
        check_known(self.known, scenes)
        from scdepth_tf import predict

        model = runs.load_model(run)
        size = run.config.data.image_size
        with reports("frame") as progress:
            scale, checks = find_scale(
                scenes,
                self.known,
                predict.depth_predictor(model, size),
                predict.motion_predictor(model, size),
                progress,
            )
        sys.stdout.write(f"{scale.describe()}\n")
        for check in checks:
            sys.stdout.write(
                f"check: {check.describe()}: {check.beside(scale)}\n"
            )
        path = runs.write_scale(run, scale, data.short_name(self.data), checks)
        if self.json:
            write_whole(self.json, path.read_text(encoding="utf-8"))
        if len(scenes) == 1:
            sys.stdout.write(
                "All of that is from one scene, whose frames err alike: other "
                "scenes may differ by more. Several scenes are safer.\n"
            )
        sys.stdout.write(
            f"{path}; from now on predict, evaluate and export are in metres\n"
        )
