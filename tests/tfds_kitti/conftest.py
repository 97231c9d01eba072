"""Datasets built once for all tests of a module."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tensorflow_datasets")

import tensorflow_datasets as tfds

from tests.tfds_kitti import dummies


@pytest.fixture(scope="session")
def raw_root(tmp_path_factory) -> Path:
    return dummies.write_raw(tmp_path_factory.mktemp("raw"))


@pytest.fixture
def own_raw_root(tmp_path) -> Path:
    """One that a test may damage."""
    return dummies.write_raw(tmp_path / "raw")


@pytest.fixture(scope="session")
def build() -> Callable[..., tfds.core.DatasetBuilder]:
    """Builds with a class of ours from `manual_dir` into `data_dir`."""

    def build_one(kind, manual_dir, data_dir, skip_corrupt=False, **options):
        download = {
            name: options.pop(name)
            for name in ("beam_options", "beam_runner")
            if name in options
        }
        builder = kind(data_dir=data_dir, skip_corrupt=skip_corrupt, **options)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir, **download
            )
        )
        return builder

    return build_one
