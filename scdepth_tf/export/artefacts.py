"""Several .tflite files of one network, proven before they appear."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scdepth_tf.export import page
from scdepth_tf.export.measure import measure
from scdepth_tf.export.metadata import add_metadata, is_pose
from scdepth_tf.export.quantize import SCHEMES, Frame, check_scheme
from scdepth_tf.export.verify import (
    PoseVerifyReport,
    VerifyReport,
    check,
    check_graph,
    verify,
    verify_pose,
)
from scdepth_tf.files import check_can_write

if TYPE_CHECKING:
    from scdepth_tf.nets import DepthNet, PoseNet

_THREADS = (1, 2)

_log = logging.getLogger(__name__)


class Sample(NamedTuple):
    """A frame that a file is proven on."""

    name: str

    image: np.ndarray
    """[H, W, 3] uint8."""

    next_image: np.ndarray | None = None
    """The frame after it, which a pose network wants."""

    truth: np.ndarray | None = None
    """Depth [h, w], 0: none; None where there is no ground truth."""


def check_outputs(
    out: str | Path, kind: str, schemes: Sequence[str], overwrite: bool
) -> None:
    """Finds out before long work that files could not be written.

    Args:
        out: folder.
        kind: "depth" or "pose".
        schemes: of the files to write.
        overwrite: whether files of their names may be there.

    Raises:
        ValueError: unknown or repeated scheme; a file exists or cannot be
            written.
    """
    if not schemes:
        raise ValueError(
            "quantize names no scheme; give one or more of"
            f" {', '.join(SCHEMES)}"
        )
    for scheme in schemes:
        check_scheme(scheme)
    if len(set(schemes)) < len(schemes):
        raise ValueError(
            f"quantize names a scheme twice: {', '.join(schemes)}; once is"
            " enough"
        )
    for name in file_names(kind, schemes):
        path = Path(out) / name
        check_can_write(path)
        if path.exists() and not overwrite:
            raise ValueError(
                f"{path} exists; choose another --out or give --overwrite"
            )


def file_names(kind: str, schemes: Sequence[str]) -> list[str]:
    """Names of the .tflite files, in the order of the schemes."""
    return [f"{kind}_{scheme}.tflite" for scheme in schemes]


def export_verified(
    net: DepthNet | PoseNet,
    out: str | Path,
    image_size: tuple[int, int],
    schemes: Sequence[str],
    calibration: Callable[[], Iterable[Frame]] | None = None,
    samples: Sequence[Sample] = (),
    metadata: Mapping[str, Any] | None = None,
    interface: str = "uint8",
    overwrite: bool = False,
) -> list[Path]:
    """Writes `KIND_SCHEME.tflite` for each scheme, and a report beside them.

    Everything is made in a hidden folder inside `out` and moved when all
    files are proven: a failure leaves nothing.

    Args:
        net: the network.
        out: folder; made where missing.
        image_size: height and width, multiples of 32.
        schemes: of `quantize.SCHEMES`.
        calibration: frames (pairs for pose) of the training domain, anew at
            each call; None where no scheme needs them.
        samples: to prove the files on; empty: they are written unproven.
        metadata: as `export_tflite`.
        interface: as `export_tflite`.
        overwrite: replace files of the same names.

    Returns:
        The .tflite files.

    Raises:
        ValueError: as `export_tflite` and `check_outputs`; or a file failed,
            and the line says which and why.
    """
    from scdepth_tf.export.tflite import export_tflite

    kind = "pose" if is_pose(net) else "depth"
    check_outputs(out, kind, schemes, overwrite)
    with _staging(Path(out)) as folder:
        paths = [
            export_tflite(
                net,
                folder / name,
                image_size,
                quantize=scheme,
                calibration=calibration() if calibration else None,
                metadata=metadata,
                interface=interface,
            )
            for scheme, name in zip(
                schemes, file_names(kind, schemes), strict=True
            )
        ]
        if samples:
            reports = [_prove(path, net, samples) for path in paths]
            for path, report in zip(paths, reports, strict=True):
                described = report.to_json()
                del described["path"]
                add_metadata(path, verified=described)
            page.write_page(
                folder / f"{kind}_report.html", net, reports, paths, samples
            )
    written = [Path(out) / path.name for path in paths]
    if not samples:
        _remove_report(Path(out), kind, written)
    return written


def _remove_report(out: Path, kind: str, replaced: Sequence[Path]) -> None:
    """What it says is of files that are there no more."""
    report = out / f"{kind}_report.json"
    try:
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
        names = {file["path"] for file in files}
    except (OSError, ValueError, KeyError, TypeError):
        return  # no report, or somebody else's
    if names & {path.name for path in replaced}:
        report.unlink()
        report.with_suffix(".html").unlink(missing_ok=True)


def _prove(
    path: Path, net: DepthNet | PoseNet, samples: Sequence[Sample]
) -> VerifyReport | PoseVerifyReport:
    _log.info("verifying %s on %d frames", path.name, len(samples))
    check_graph(path)
    if is_pose(net):
        report = verify_pose(
            path,
            net,
            [
                (sample.image, sample.next_image)
                for sample in samples
                if sample.next_image is not None
            ],
        )
    else:
        report = verify(
            path,
            net,
            [sample.image for sample in samples],
            truths=[sample.truth for sample in samples],
        )
    check(report)
    return dataclasses.replace(
        report,
        path=path.name,
        measurements=tuple(measure(path, n) for n in _THREADS),
    )


@contextlib.contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder in `out` whose files move there when the block succeeds."""
    new = [p for p in (out, *out.parents) if not p.exists()]
    stage = out / f".export.{os.getpid()}.partial"
    done = False
    _remove_leftovers(out)
    try:
        stage.mkdir(parents=True)
        yield stage
        for path in sorted(stage.iterdir()):
            path.replace(out / path.name)
        done = True
    except OSError as error:
        raise ValueError(
            f"cannot write {out}: {error.strerror}; choose a folder that you"
            " may write to, with room on the disk"
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if not done:
            for folder in new:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _remove_leftovers(out: Path) -> None:
    """Of exports that were killed."""
    for stage in out.glob(".export.*.partial"):
        process = stage.name.split(".")[2]
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            shutil.rmtree(stage, ignore_errors=True)
        except (ValueError, OSError):
            continue  # not ours, or of somebody else who is at work
