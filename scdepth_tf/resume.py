"""Snapshots from which a killed training goes on as if nothing had happened.

A snapshot is one file, `resume/step_NUMBER.npz`: every variable of model,
optimizer and running metrics, and where the training was. Augmentation and
data order are functions of the seed and the step, and the random layers of
Keras keep their state in variables, so that there is no other random state.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdepth_tf import stack
from scdepth_tf.files import replace_file

if TYPE_CHECKING:
    import keras

_LOG = logging.getLogger(__name__)

_KEPT = 2
"""Snapshots on disk: should the newest be damaged, there is another."""

_STATE = "state"
_KERAS = "keras"


@dataclasses.dataclass
class TrainingState:
    """Where a training is, besides its variables."""

    step: int = 0
    """Steps taken, skipped ones too."""

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    """One row for each finished epoch: `epoch`, metrics and validation; the
    first one may be epoch 0, the validation before the first step."""

    best_score: float = float("inf")
    """Lowest validation score so far."""

    best_epoch: int = -1
    """The epoch that had it; 0 is before the first step."""

    stopped: bool = False
    """Whether the training is over before its last epoch."""

    focal_factors: dict[str, list[float]] = dataclasses.field(
        default_factory=dict
    )
    """Learnt factors after the `last` and the `best` epoch."""

    data: str = ""
    """Fingerprint of the frames, so that the order of triplets is the same."""


def save(
    folder: Path,
    model: keras.Model,
    state: TrainingState,
    more: Sequence[keras.Variable] = (),
) -> Path:
    """Write a snapshot, whole or not at all, and drop the oldest.

    Args:
        folder: where snapshots are kept.
        model: compiled; its optimizer is built.
        state: where the training is.
        more: variables that belong to neither model nor optimizer.

    Raises:
        ValueError: it cannot be written.
    """
    arrays = {
        _name(index): variable.numpy()
        for index, variable in enumerate([*_variables(model), *more])
    }
    path = folder / f"step_{state.step:09d}.npz"
    with replace_file(path) as unfinished, unfinished.open("wb") as file:
        described = json.dumps({**vars(state), _KERAS: stack.KERAS})
        np.savez(file, **arrays, **{_STATE: described})
        file.flush()
        # Renaming before the content is on the disk leaves a torn file when
        # the power fails.
        os.fsync(file.fileno())
    for old in _snapshots(folder)[_KEPT:]:
        old.unlink()
    return path


def restore(
    folder: Path, model: keras.Model, more: Sequence[keras.Variable] = ()
) -> TrainingState | None:
    """Put the newest undamaged snapshot into a model.

    Args:
        folder: of `save`.
        model: as the one that was saved, compiled; its optimizer is built.
        more: as for `save`.

    Returns:
        Where the training was; None if there is no snapshot.

    Raises:
        ValueError: all snapshots are damaged, or of another model.
    """
    paths = _snapshots(folder)
    for path in paths:
        if not _is_whole(path):
            _LOG.warning("%s is damaged; going back to the one before", path)
            continue
        with np.load(path) as arrays:
            described = json.loads(str(arrays[_STATE]))
            _check_keras(described.pop(_KERAS, stack.KERAS), path)
            _assign([*_variables(model), *more], arrays, path)
            return TrainingState(**described)
    if paths:
        raise ValueError(
            f"every snapshot in {folder} is damaged; start again with another "
            "--out"
        )
    return None


def _snapshots(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step_*.npz"), reverse=True)


def _is_whole(path: Path) -> bool:
    """Whether the directory and the checksums of all arrays are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False


def _check_keras(written: str, path: Path) -> None:
    """Optimizers of different versions may have the same variables, for
    other uses.
    """
    if written != stack.KERAS:
        raise ValueError(
            f"{path} was written under {written}, and this is {stack.KERAS}; "
            "go on there, or start another run from the weights of this one "
            "with --model.weights"
        )


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [
        *model.variables,
        *stack.optimizer_variables(model.optimizer),
        *stack.metrics_variables(model),
    ]


def _assign(
    variables: Sequence[keras.Variable],
    arrays: np.lib.npyio.NpzFile,
    path: Path,
) -> None:
    expected = [(_name(i), v.shape) for i, v in enumerate(variables)]
    found = [
        (name, arrays[name].shape)
        for name in sorted(arrays.files)
        if name != _STATE
    ]
    if expected != found:
        raise ValueError(
            f"{path} holds other variables than this model has; it was "
            "written by another version: go on with that one, or start again "
            "with another --out"
        )
    for name, variable in zip(dict(expected), variables, strict=True):
        variable.assign(arrays[name])


def _name(index: int) -> str:
    return f"variable_{index:05d}"
