"""Test-time refinement: some steps of training on the very footage.

A part of the footage is held out. Where the refined networks do not explain
it better, the original ones stay. The run is only read.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from scdepth_tf.config import LossConfig
from scdepth_tf.files import replace_folder
from scdepth_tf.geometry import flip_intrinsics, inverse_warp
from scdepth_tf.metres import Scale
from scdepth_tf.metrics.consistency import scale_spread
from scdepth_tf.metrics.depth import GENERIC, depth_errors
from scdepth_tf.model import SCDepth
from scdepth_tf.nets.layers import batch_norms
from scdepth_tf.predict.material import Material, gather
from scdepth_tf.predict.sources import Source

FOLDER = "refinement"
REPORT = "refinement.json"
WEIGHTS = "refined.weights.h5"

LEARNING_RATE = 1e-4
"""At its peak, after a tenth of the steps; then it falls to nothing."""

BATCH_SIZE = 2
"""Triplets in a step."""

_CLIP_NORM = 1.0
_WORSE = 1.01
"""Neither of the two errors may grow by more than a hundredth."""
_LESS_IN_VIEW = 1.1
"""Networks that throw all points out of view have no geometry to be wrong
about."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good the networks are on a footage; smaller is better where nothing
    else is said.
    """

    photometric: float
    """Error of explaining held-out frames by their neighbours: no mask has a
    say in it."""

    geometry: float
    """Mean D_diff of held-out pairs."""

    valid: float
    """Share of their pixels that are in view of each other; larger is
    better."""

    scale_step: float | None
    """How much the scale changes from a frame to the next: RMS over held-out
    pairs of ln(ratio of the depths that both give the same points)."""

    abs_rel: float | None
    """AbsRel of frames with ground truth, each at its own median scale; None
    where there is none."""

    abs_rel_one_scale: float | None
    """The same at one scale for all of them."""

    scale_spread: float | None
    """Spread of their scales (standard deviation / median)."""


@dataclasses.dataclass(frozen=True)
class Refinement:
    """What refining on a footage has brought."""

    steps: int
    kept: bool
    """Whether the refined weights are used."""

    reason: str
    """Why, in a few words."""

    before: Quality | None = None
    """None where nothing was tried."""

    after: Quality | None = None

    depth_ratio: float = 1.0
    """Depth after / before, the usual one: by it metres are carried over."""

    def rescaled(self, scale: Scale | None) -> Scale | None:
        """The scale that was found for the original weights, for those that
        are used.
        """
        if scale is None or not self.kept:
            return scale
        return dataclasses.replace(
            scale,
            metres_per_unit=scale.metres_per_unit / self.depth_ratio,
            method=f"{scale.method}, carried over to the refined weights",
        )

    def describe(self) -> str:
        """Some lines for people."""
        if self.before is None or self.after is None:
            return f"not refined: {self.reason}"
        lines = [f"{self.steps} steps of refinement: {self.reason}"]
        for name, title in _TITLES.items():
            values = [getattr(one, name) for one in (self.before, self.after)]
            if None not in values:
                lines.append(f"  {title}: {values[0]:.4f} -> {values[1]:.4f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Plain values, as JSON takes them: None for what is not finite."""
        content = dataclasses.asdict(self)
        for name in ("before", "after"):
            if content[name]:
                content[name] = {
                    key: _finite(value) for key, value in content[name].items()
                }
        return content

    @classmethod
    def from_dict(cls, content: Mapping) -> Refinement:
        """What `to_dict` gave."""
        found = cls(**content)
        qualities = {
            name: Quality(**content[name])
            for name in ("before", "after")
            if content[name]
        }
        return dataclasses.replace(found, **qualities)


_TITLES = {
    "photometric": "photometric error, held-out",
    "geometry": "geometry inconsistency, held-out",
    "valid": "share in view, held-out",
    "scale_step": "change of scale between neighbours, held-out",
    "abs_rel": "AbsRel by the ground truth",
    "abs_rel_one_scale": "AbsRel at one scale",
    "scale_spread": "spread of scale by the ground truth",
}


class Refiner:
    """Refines a model on one footage after the other.

    Args:
        model: as the run has it; its weights are changed in memory.
        image_size: height and width the networks work at.
        steps: of training.
    """

    def __init__(self, model: SCDepth, image_size: tuple[int, int], steps: int):
        self._networks = model
        self._original = model.get_weights()
        self._image_size = image_size
        self._steps = steps
        # Without learnt focal lengths: the source has its intrinsics.
        self._model = SCDepth(
            model.depth_net,
            model.pose_net,
            loss=model.loss_config,
            reverse_pose=model.reverse_pose,
            jit_losses=model.jit_losses,
        )
        for norm in batch_norms(self._model):
            norm.trainable = False

    def __call__(
        self,
        source: Source,
        folder: Path,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Refinement:
        """Refine on a source, or load what was refined before a kill.

        Args:
            source: the footage; its camera is known.
            folder: of its outputs; gets a folder with weights and report.
            progress: called after some steps.

        Raises:
            ValueError: a file cannot be written.
        """
        self._networks.set_weights(self._original)
        for leftover in folder.glob(f".{FOLDER}.*.partial"):
            shutil.rmtree(leftover)  # of a process that was killed
        folder = folder / FOLDER
        if (folder / REPORT).is_file():
            return self._load(folder)
        material = gather(source, self._image_size)
        if material.is_too_short:
            refinement = Refinement(
                self._steps,
                kept=False,
                reason="too few frames to hold some out",
            )
        else:
            refinement = self._refine(material, progress)
        if not refinement.kept:
            self._networks.set_weights(self._original)
        with replace_folder(folder) as unfinished:
            if refinement.kept:
                self._model.save_weights(unfinished / WEIGHTS)
            text = json.dumps(refinement.to_dict(), indent=2)
            (unfinished / REPORT).write_text(text + "\n", encoding="utf-8")
        return refinement

    def _load(self, folder: Path) -> Refinement:
        try:
            content = json.loads((folder / REPORT).read_text("utf-8"))
            refinement = Refinement.from_dict(content)
            if refinement.kept:
                self._model.load_weights(folder / WEIGHTS)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise ValueError(
                f"{folder} is damaged ({error}); delete it to refine again"
            ) from None
        return refinement

    def _refine(
        self,
        material: Material,
        progress: Callable[[str, int, int], None] | None,
    ) -> Refinement:
        self._model.compile(
            keras.optimizers.Adam(
                _learning_rates(self._steps), clipnorm=_CLIP_NORM
            )
        )
        before, depths_before = self._judge(material)
        callbacks = []
        if progress:
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_train_batch_end=lambda batch, logs: progress(
                        "refining", batch + 1, self._steps
                    )
                )
            )
        self._model.fit(
            _training_batches(material),
            steps_per_epoch=self._steps,
            shuffle=False,  # the data shuffles itself
            callbacks=callbacks,
            verbose=0,
        )
        after, depths_after = self._judge(material)
        kept, reason = decide(before, after, self._model.loss_config)
        return Refinement(
            self._steps,
            kept,
            reason,
            before,
            after,
            float(np.median(depths_after / depths_before)),
        )

    def _judge(self, material: Material) -> tuple[Quality, np.ndarray]:
        """Quality, and the median depth [M] of the held-out frames."""
        errors = self._model.evaluate(
            _batches(material.held_out, material.intrinsics),
            verbose=0,
            return_dict=True,
        )
        medians, ratios = [], []
        for frames in material.held_out:
            images = tf.constant(frames, tf.float32) / 255.0
            depths = self._model(images)
            medians.append(np.median(depths[0]))
            ratios += self._depth_ratios(images, depths, material.intrinsics)
        quality = Quality(
            photometric=float(errors["view_synthesis"]),
            geometry=float(errors["geometry"]),
            valid=float(errors["valid"]),
            scale_step=(
                float(np.sqrt(np.mean(np.square(ratios)))) if ratios else None
            ),
            **self._judge_by_truth(material),
        )
        return quality, np.array(medians)

    def _depth_ratios(
        self, images: tf.Tensor, depths: tf.Tensor, intrinsics: np.ndarray
    ) -> list[float]:
        """Median ln(sampled / computed depth) of the target's points in both
        neighbours.
        """
        ratios = []
        for neighbour in (1, 2):
            source = images[neighbour : neighbour + 1]
            warp = inverse_warp(
                source,
                depths[neighbour : neighbour + 1],
                depths[:1],
                self._model.source_from_target(images[:1], source),
                tf.constant(intrinsics[None], tf.float32),
            )
            seen = warp.valid.numpy() > 0
            if seen.any():
                ratio = (warp.sampled_depth / warp.computed_depth).numpy()
                ratios.append(float(np.log(np.median(ratio[seen]))))
        return ratios

    def _judge_by_truth(self, material: Material) -> dict[str, float | None]:
        names = ("abs_rel", "abs_rel_one_scale", "scale_spread")
        pairs = [
            (
                truth,
                self._model(frame[None] / np.float32(255)).numpy()[0, ..., 0],
            )
            for frame, truth in material.with_truth
            if GENERIC.mask(truth).any()
        ]
        if not pairs:
            return dict.fromkeys(names)
        own = [depth_errors(*pair, GENERIC) for pair in pairs]
        scales = [one.scale for one in own]
        one_scale = float(np.median(scales))
        shared = [depth_errors(*pair, GENERIC, one_scale) for pair in pairs]
        values = (
            float(np.mean([one.abs_rel for one in own])),
            float(np.mean([one.abs_rel for one in shared])),
            scale_spread(scales),
        )
        return dict(zip(names, values, strict=True))


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def decide(
    before: Quality, after: Quality, loss: LossConfig
) -> tuple[bool, str]:
    """Whether refined weights are better, and why.

    Ground truth has no say: what is shown by it is a test of this rule.

    Args:
        before: of the original weights.
        after: of the refined ones.
        loss: whose weights the two errors have.
    """
    if not after.valid >= before.valid / _LESS_IN_VIEW:
        return False, (
            "frames lost sight of each other; the original weights stay"
        )
    for name, title in (
        ("photometric", "photometric error"),
        ("geometry", "geometry inconsistency"),
    ):
        if not getattr(after, name) <= _WORSE * getattr(before, name):
            return False, f"the {title} grew; the original weights stay"
    total_before, total_after = (
        loss.photometric_weight * one.photometric
        + loss.geometry_weight * one.geometry
        for one in (before, after)
    )
    gain = 1 - total_after / total_before
    if not gain > 0:
        return (
            False,
            "held-out frames gained nothing; the original weights stay",
        )
    return True, f"held-out frames are explained {100 * gain:.1f} % better"


def _learning_rates(
    steps: int,
) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 10,
        max(1, steps - warmup),
        warmup_target=LEARNING_RATE,
        warmup_steps=warmup,
    )


def _training_batches(material: Material) -> tf.data.Dataset:
    """Without end, shuffled, every other triplet mirrored."""
    triplets = tf.data.Dataset.from_tensor_slices(material.training)
    shuffled = triplets.shuffle(len(material.training), seed=0).repeat()
    coins = tf.data.Dataset.random(seed=0)
    intrinsics = tf.constant(material.intrinsics, tf.float32)
    width = material.training.shape[3]
    mirrored = flip_intrinsics(intrinsics, width)

    def example(frames: tf.Tensor, coin: tf.Tensor) -> dict[str, tf.Tensor]:
        flip = coin % 2 == 0
        frames = tf.cast(frames, tf.float32) / 255.0
        frames = tf.where(flip, frames[:, :, ::-1], frames)
        camera = tf.where(flip, mirrored, intrinsics)
        return {"frames": frames, "jittered": frames, "intrinsics": camera}

    return (
        tf.data.Dataset.zip(shuffled, coins)
        .map(example)
        .batch(min(BATCH_SIZE, len(material.training)), drop_remainder=True)
        .prefetch(2)
    )


def _batches(triplets: np.ndarray, intrinsics: np.ndarray) -> tf.data.Dataset:
    camera = tf.constant(intrinsics, tf.float32)

    def example(frames: tf.Tensor) -> dict[str, tf.Tensor]:
        frames = tf.cast(frames, tf.float32) / 255.0
        return {"frames": frames, "jittered": frames, "intrinsics": camera}

    return tf.data.Dataset.from_tensor_slices(triplets).map(example).batch(1)
