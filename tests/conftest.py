"""Fixtures shared by every test."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder that holds data/ and reference/: SCDEPTH_DATA's parent, or the
    `shared` folder beside the checkout. Real footage stays outside git."""
    data = os.environ.get("SCDEPTH_DATA")
    folder = Path(data).parent if data else REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"development data not found at {folder / 'data'}")
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Folder of development footage (KITTI, 7-Scenes, rendered streets)."""
    return shared / "data"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
