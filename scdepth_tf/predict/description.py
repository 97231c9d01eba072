"""predict.json: whose job a folder holds, and what a reader of its outputs
must know.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import scdepth_tf
from scdepth_tf.config import PredictConfig
from scdepth_tf.data.tfds import is_tfds
from scdepth_tf.files import write_whole
from scdepth_tf.predict import outputs
from scdepth_tf.predict.sequence import Sequence
from scdepth_tf.prepare.writing import described_file

FILE = "predict.json"
STORE = ".predictions"

_LEFT = (STORE, "refinement")
"""Folders of a job that has not written anything yet."""
_OPTIONS = {
    "scenes",
    *(field.name for field in dataclasses.fields(PredictConfig)),
}
"""What is said on the command line."""


@contextlib.contextmanager
def claimed(out: Path, job: Mapping[str, object]) -> Iterator[None]:
    """`claim`, and inside the block a job that fails before there is anything
    to keep leaves nothing.

    Raises:
        ValueError: `out` holds something else; the line says how it differs.
    """
    claim(out, job)
    try:
        yield
    except (ValueError, OSError):
        found = {path.name for path in out.iterdir()}
        stored = any((out / STORE).glob("*.npz"))
        if not stored and found <= {FILE, *_LEFT}:
            _clear(out)
            (out / FILE).unlink()
        raise


def claim(out: Path, job: Mapping[str, object]) -> None:
    """Take `out` for a job, or go on with the same one.

    Raises:
        ValueError: `out` holds something else; the line says how it differs.
    """
    if (out / FILE).is_file():
        try:
            theirs = _read(out)["job"]
        except (ValueError, KeyError):
            raise ValueError(
                f"{out / FILE}: damaged; choose another --out or delete it"
            ) from None
        ours = json.loads(json.dumps(job))
        differences = [
            _difference(key, theirs.get(key), ours[key])
            for key in ours
            if ours[key] != theirs.get(key)
        ]
        if not differences:
            return
        if {path.name for path in out.iterdir()} - {FILE, *_LEFT}:
            raise ValueError(
                f"{out} holds predictions of another job: "
                f"{'; '.join(differences)}; choose another --out"
            )
        # That job was killed, or failed, before it had written anything.
        _clear(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} already exists and holds no predictions; choose another "
            "--out"
        )
    _write(out, {"job": dict(job), "sequences": {}})


def add(out: Path, sequence: Sequence) -> None:
    """Describe a sequence whose outputs are written."""
    content = _read(out)
    camera = sequence.intrinsics
    before = content["sequences"].get(sequence.name, {}).get("written", [])
    content["sequences"][sequence.name] = {
        "written": sorted({*before, *sequence.config.write}),
        "frames": len(sequence.poses),
        "unit": sequence.unit,
        "scale": sequence.scale and sequence.scale.to_dict(),
        "refinement": sequence.refinement and sequence.refinement.to_dict(),
        "depth_size": sequence.depth_size,
        "image_size": sequence.image_size,
        "intrinsics": None if camera is None else camera.tolist(),
        "png_codes_per_unit": sequence.codes_per_unit,
        "depth_percentiles": {
            "1": sequence.depth.nearest,
            "50": sequence.depth.median,
            "99": sequence.depth.farthest,
        },
        "voxel": sequence.voxel,
        "farthest_point": sequence.farthest,
    }
    _write(out, content)


def has_all(out: Path, name: str, folder: Path, asked: Collection[str]) -> bool:
    """Whether all outputs that are asked for of a sequence, in its folder, are
    there from first to last frame.
    """
    sequences = _read(out).get("sequences", {})
    written = sequences.get(name, {}).get("written", [])
    return set(asked) <= set(written) and all(
        (folder / outputs.PLACES[one]).exists() for one in asked
    )


def settings(config: PredictConfig) -> dict[str, object]:
    """Choices that a job that is gone on with must have in common."""
    kept = dataclasses.asdict(config)
    for name in ("write", "batch_size", "metres_per_unit"):
        del kept[name]
    return kept


def of_footage(footage: str | Path) -> object:
    """What tells a footage from its changed self."""
    if is_tfds(footage):
        return str(footage)
    return described_file(Path(footage))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _difference(key: str, theirs: object, ours: object) -> str:
    if key == "weights":
        return "the weights are others"
    if key == "footage":
        if _path(theirs) == _path(ours):
            return "the footage has changed"
        theirs, ours = _path(theirs), _path(ours)
    if key == "metres_per_unit":
        return (
            f"it is in {_unit(theirs)}, and what is asked for now is in "
            f"{_unit(ours)} (--metres-per-unit {theirs or 0:.6g} goes on)"
        )
    name = f"--{key.replace('_', '-')}" if key in _OPTIONS else key
    return f"{name} was {_told(theirs)} and is {_told(ours)}"


def _unit(metres_per_unit: float | None) -> str:
    if metres_per_unit is None:
        return "scene units"
    return f"metres, {metres_per_unit:.4g} a scene unit"


def _path(footage: object) -> object:
    return footage["path"] if isinstance(footage, dict) else footage


def _told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _clear(out: Path) -> None:
    for name in _LEFT:
        shutil.rmtree(out / name, ignore_errors=True)


def _read(out: Path) -> dict:
    path = out / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(out: Path, content: Mapping[str, object]) -> None:
    described = {
        "format": 1,
        "producer": f"scdepth_tf {scdepth_tf.__version__}",
        **content,
    }
    text = json.dumps(described, indent=2, ensure_ascii=False)
    write_whole(out / FILE, text + "\n")
