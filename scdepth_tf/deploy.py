"""`scdepth export`: a run's network as .tflite files, proven on its frames.

`scdepth_tf.export` writes files and knows no data; here it meets the run's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scdepth_tf import data, runs
from scdepth_tf.export.artefacts import (
    Sample,
    check_outputs,
    export_verified,
)
from scdepth_tf.export.quantize import CALIBRATED
from scdepth_tf.predict import resize_image

if TYPE_CHECKING:
    from scdepth_tf.data import Scene
    from scdepth_tf.model import SCDepth

CALIBRATION_FRAMES = 100
VERIFICATION_FRAMES = 20

_CHECKED_FRAMES = 16
_UNLIKE = 0.25
"""`unlikeness` from which frames are of another domain: a run's own frames
have 0.03, other video of its kinds up to 0.15, of other kinds 0.29 and more
(docs/decisions.md)."""

_log = logging.getLogger(__name__)


def export_run(
    run: runs.Run,
    out: str | Path,
    net: str = "depth",
    schemes: Sequence[str] = ("float32",),
    interface: str = "uint8",
    image_size: tuple[int, int] | None = None,
    frames: str | Path | None = None,
    verify: bool = True,
    overwrite: bool = False,
) -> list[str]:
    """Export a network of a run.

    Args:
        run: with weights.
        out: folder for the files and the report.
        net: "depth" or "pose".
        schemes: of `export.quantize.SCHEMES`.
        interface: of int8: "uint8" or "float32".
        image_size: height and width; None: those of the run.
        frames: scenes to calibrate and verify on; None: the run's own. Where
            they have a validation split, it verifies.
        verify: prove the files and write a report.
        overwrite: replace files of the same names.

    Returns:
        A line to print for each file.

    Raises:
        FileNotFoundError: the run has no weights.
        ValueError: unknown scheme, a file exists, frames are missing, or a
            file failed.
    """
    out = Path(out)
    check_outputs(out, net, schemes, overwrite)
    model = runs.load_model(run)
    image_size = image_size or run.config.data.image_size
    needs = [scheme for scheme in schemes if scheme in CALIBRATED]
    training = (
        _scenes(run, frames, "train", needs[0] if needs else "verifying")
        if needs or verify
        else []
    )
    if needs:
        _warn_of_few_frames(training)
    if needs and frames is not None:
        _warn_of_other_domain(model, training, image_size)
    samples = []
    if verify:
        unseen = _scenes(run, frames, "val", "verifying")
        samples = _samples(unseen, net == "pose")
        if not samples:
            raise ValueError(
                "verifying needs a scene of two frames or more, and there is"
                " none; give --calibration-data FOLDER, or --no-verify"
            )

    def calibration() -> Iterator[np.ndarray | tuple[np.ndarray, ...]]:
        if net == "pose":
            return _pairs(training, CALIBRATION_FRAMES)
        return data.spread_images(training, CALIBRATION_FRAMES)

    paths = export_verified(
        model.pose_net if net == "pose" else model.depth_net,
        out,
        image_size,
        schemes,
        calibration=calibration if needs else None,
        samples=samples,
        metadata=export_metadata(run),
        interface=interface,
        overwrite=overwrite,
    )
    lines = [f"{path} ({path.stat().st_size / 1e6:.1f} MB)" for path in paths]
    if verify:
        lines.append(f"look at {out / f'{net}_report.html'}")
    return lines


def export_metadata(run: runs.Run) -> dict[str, Any]:
    """What every export passes on of a run: its data, the metres of a scene
    unit where `scdepth calibrate` found them, learnt focal lengths.
    """
    metadata: dict[str, Any] = {
        "training_data": data.short_name(run.training_data)
    }
    scale = runs.read_scale(run)
    if scale:
        metadata["scale"] = scale.to_dict()
    if run.config.model.learn_focal_length != "off":
        metadata["cameras"] = runs.read_cameras(run)
    return metadata


def _scenes(
    run: runs.Run, frames: str | Path | None, split: str, what: str
) -> list[Scene]:
    """Scenes of a split, or all where the data has no such split.

    Raises:
        ValueError: there are none; the line says what to give.
    """
    source = frames or run.training_data
    scenes = () if frames else run.scenes
    try:
        try:
            return data.open_scenes(source, split, scenes=scenes)
        except ValueError:
            return data.open_scenes(source, "all", scenes=scenes)
    except (FileNotFoundError, ValueError) as error:
        if frames:
            raise
        give = "--calibration-data FOLDER with frames of the training domain"
        if what == "verifying":
            give += ", or --no-verify"
        raise ValueError(
            f"{what} needs frames, and the run's own"
            f" ({run.training_data or 'none are known'}) are not here; give"
            f" {give}"
        ) from error


def _spread(scenes: Sequence[Scene], count: int) -> list[tuple[Scene, int]]:
    """Frames, each with one after it, evenly over all scenes."""
    at = [(scene, i) for scene in scenes for i in range(len(scene) - 1)]
    chosen = np.linspace(0, len(at) - 1, min(count, len(at)))
    return [at[position] for position in chosen.round().astype(int)]


def _pairs(
    scenes: Sequence[Scene], count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for scene, index in _spread(scenes, count):
        yield scene.image(index), scene.image(index + 1)


def _samples(scenes: Sequence[Scene], pairs: bool) -> list[Sample]:
    return [
        Sample(
            name=f"{scene.name}/{scene.frames[index].stem}",
            image=scene.image(index),
            next_image=scene.image(index + 1) if pairs else None,
            truth=None if pairs else scene.depth(index),
        )
        for scene, index in _spread(scenes, VERIFICATION_FRAMES)
    ]


def _warn_of_few_frames(scenes: Sequence[Scene]) -> None:
    count = sum(map(len, scenes))
    if count < CALIBRATION_FRAMES:
        _log.warning(
            "only %d calibration frames; with %d or more the ranges of int8 are"
            " surer",
            count,
            CALIBRATION_FRAMES,
        )


def _warn_of_other_domain(
    model: SCDepth, scenes: Sequence[Scene], image_size: tuple[int, int]
) -> None:
    """Warns when frames are not what the network was trained on."""
    unlike = unlikeness(
        model,
        list(data.spread_images(scenes, _CHECKED_FRAMES)),
        image_size,
    )
    if unlike > _UNLIKE:
        _log.warning(
            "the calibration frames are of another domain than the training"
            " frames: the value range of the first features differs by %.2f"
            " standard deviations, that of the training's own kind by less"
            " than %.2f; int8 depth will suffer on what it was trained for",
            unlike,
            _UNLIKE,
        )


def unlikeness(
    model: SCDepth, images: Sequence[np.ndarray], image_size: tuple[int, int]
) -> float:
    """How far frames are from those that a depth network was trained on.

    BatchNorm remembers mean and variance of what training saw. This is how
    far the frames' mean is from it, in standard deviations, in the typical
    channel of the encoder's first normalisation (median over channels; the
    larger of that and the log ratio of standard deviations).

    Args:
        model: trained.
        images: uint8 [H, W, 3], any size.
        image_size: height and width the network works at.
    """
    import keras

    encoder = model.depth_net.encoder
    norm = next(
        layer
        for layer in encoder.layers
        if hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance")
    )
    before = keras.Model(encoder.inputs, norm.input)
    features = np.concatenate(
        [
            np.asarray(before(resize_image(image, image_size)[None])).reshape(
                -1, norm.moving_mean.shape[0]
            )
            for image in images
        ]
    )
    deviation = np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    shift = np.abs(features.mean(axis=0) - norm.moving_mean) / deviation
    spread = np.abs(np.log((features.std(axis=0) + 1e-6) / deviation))
    return float(max(np.median(shift), np.median(spread)))
