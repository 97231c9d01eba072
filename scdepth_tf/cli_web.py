"""`scdepth web` and `scdepth view`: parse first, import later."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Literal

import tyro


@dataclasses.dataclass(frozen=True)
class Web:
    """Make a page that runs a depth network in the browser: live, on camera,
    videos and pictures, and as a point cloud to turn. It needs no server of
    its own and sends nothing anywhere.
    """

    model: tyro.conf.Positional[Path]
    """Run directory of `scdepth train`, a preset, or a .tflite file of
    `scdepth export`."""

    out: Path
    """Folder to make: static files for any web server; index.html can be
    opened from the disk, too."""

    quantize: Literal["float32", "float16", "dynamic", "int8"] | None = None
    """Of a run: float16 is half the download of float32 (the default) and as
    exact, dynamic a quarter with nothing to calibrate, int8 a quarter, for
    phones. All but int8 also run on the visitor's graphics processor."""

    calibration_data: Path | None = None
    """Scenes to calibrate int8 on; the run's own training data by default."""

    runtime: Path | None = None
    """LiteRT.js as npm packs it (litertjs-core-2.5.3.tgz); fetched once, where
    it is not given."""

    def run(self) -> None:
        """Write the page and say how to look at it."""
        from scdepth_tf.web import site
        from scdepth_tf.web.runtime import find_package

        # What can be wrong is found before the minutes of an export.
        if self.model.is_file() and self.quantize:
            raise ValueError(
                f"{self.model} is quantized or not as it is; give --quantize"
                " with a run"
            )
        site.check_site(self.out)
        package = find_package(self.runtime)
        with tempfile.TemporaryDirectory() as folder:
            page = site.write_site(self._tflite(folder), self.out, package)
        sys.stdout.write(
            f"{page}; open it, or: python3 -m http.server -d {self.out}\n"
        )

    def _tflite(self, folder: str) -> Path:
        if self.model.is_file():
            return self.model
        if self.model.suffix == ".tflite":
            raise FileNotFoundError(f"no model file at {self.model}")
        from scdepth_tf import runs
        from scdepth_tf.deploy import export_run

        scheme = self.quantize or "float32"
        export_run(
            runs.open_run(self.model),
            folder,
            schemes=(scheme,),
            frames=self.calibration_data,
            verify=False,
        )
        return Path(folder) / f"depth_{scheme}.tflite"


@dataclasses.dataclass(frozen=True)
class View:
    """Make a page of a finished prediction: its video, the path of the camera
    and the point cloud to turn, all in one file.
    """

    results: tyro.conf.Positional[Path]
    """Folder of `scdepth predict`, best with --write video trajectory cloud."""

    def run(self) -> None:
        """Write RESULTS/view.html and say so."""
        from scdepth_tf.web import write_view

        for page in write_view(self.results):
            size = page.stat().st_size / 1e6
            sys.stdout.write(f"{page} ({size:.1f} MB); open it in a browser\n")
