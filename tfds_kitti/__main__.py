"""`python -m tfds_kitti NAME/CONFIG --manual-dir FOLDER` builds a dataset."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_PROGRAM = "python -m tfds_kitti"
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Build:
    """Build kitti_raw, kitti_odometry or video_sequences from files on disk.

    Frames are stored once, in chunks of up to 32; `scdepth train
    tfds:NAME/CONFIG` reads them. An interrupted build leaves no dataset.
    """

    dataset: tyro.conf.Positional[str]
    """NAME/CONFIG: kitti_raw/full, /256x832, /192x640, /128x416;
    kitti_odometry/color-…, gray-…; video_sequences/…."""

    manual_dir: Path
    """Where the files lie: the KITTI raw root, the odometry folder, or the
    folder of scenes."""

    data_dir: Path | None = None
    """Where to put the dataset; TFDS_DATA_DIR by default."""

    skip_corrupt: bool = False
    """Leave unreadable frames out and list them; else the first one stops the
    build."""

    workers: int = 1
    """Processes; more than one needs the extra `beam`. The bytes are the same
    with any number."""

    name: str | None = None
    """Configuration name for a split of your own (kitti_raw)."""

    train_files: Path | None = None
    """Split file for train (kitti_raw, with --name): lines DATE/DRIVE FRAME
    SIDE, or image paths."""

    val_files: Path | None = None
    """Split file for val, likewise."""

    test_files: Path | None = None
    """Split file for test, likewise; the 697 Eigen frames by default."""

    def run(self) -> None:
        """Build, and say what was built."""
        import tensorflow_datasets as tfds

        from tfds_kitti import report

        builder = self._builder()
        if builder.is_prepared():
            _LOG.info("%s is already built", builder.data_dir)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=self.manual_dir.absolute(),
                beam_options=self._beam_options(),
            ),
        )
        sys.stdout.write(report.describe(builder))

    def _builder(self) -> tfds.core.DatasetBuilder:
        import tfds_kitti

        builders = {
            kind.name: kind
            for kind in (
                tfds_kitti.KittiRaw,
                tfds_kitti.KittiOdometry,
                tfds_kitti.VideoSequences,
            )
        }
        dataset, _, config_name = self.dataset.partition("/")
        if dataset not in builders:
            raise ValueError(
                f"no dataset {dataset!r}; there are {', '.join(builders)}"
            )
        kind = builders[dataset]
        configs = kind.builder_configs
        config_name = config_name or kind.BUILDER_CONFIGS[0].name
        if config_name not in configs:
            raise ValueError(
                f"{dataset} has no configuration {config_name!r}; it has "
                f"{', '.join(configs)}"
            )
        config = configs[config_name]
        if files := self._split_files(dataset):
            config = dataclasses.replace(config, **files)
        if not self.manual_dir.is_dir():
            raise FileNotFoundError(
                f"{self.manual_dir}: no such folder. "
                f"{kind.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        return kind(
            config=config,
            data_dir=self.data_dir,
            skip_corrupt=self.skip_corrupt,
        )

    def _split_files(self, dataset: str) -> dict[str, str]:
        files = {
            key: str(path.absolute())
            for key in ("train_files", "val_files", "test_files")
            if (path := getattr(self, key)) is not None
        }
        if bool(files) != bool(self.name):
            raise ValueError(
                "a split of your own needs both: --name and at least one of "
                "--train-files, --val-files, --test-files"
            )
        if not files:
            return {}
        if dataset != "kitti_raw":
            raise ValueError(f"{dataset} has fixed splits; leave --name out")
        return {**files, "name": self.name}

    def _beam_options(self) -> object | None:
        if self.workers == 1:
            return None
        try:
            from apache_beam.options.pipeline_options import PipelineOptions
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"--workers {self.workers} needs Apache Beam: pip install "
                f"'scdepth-tf[beam]' ({error})"
            ) from error
        return PipelineOptions(
            direct_num_workers=self.workers,
            direct_running_mode="multi_processing",
        )


def main(arguments: list[str] | None = None) -> int:
    """Build; returns the exit code."""
    build = tyro.cli(Build, prog=_PROGRAM, args=arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _LOG.setLevel(logging.INFO)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        build.run()
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.stderr.write(f"{_PROGRAM}: {error}\n")
        return 1
    except RuntimeError as error:  # Beam wraps what a worker raises
        found = re.search(r"(?:ValueError|FileNotFoundError): (.+)", str(error))
        if not found:
            raise
        sys.stderr.write(f"{_PROGRAM}: {found[1]}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{_PROGRAM}: interrupted; nothing was built\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
