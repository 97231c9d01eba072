"""Measures one trained run on streets with exact depth, poses and masks."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from scdepth_tf import data, evaluate, metrics, predict, runs
from scdepth_tf.data import Scene
from scdepth_tf.evaluate.samples import Sample, depth_samples
from scdepth_tf.files import write_whole

PROTOCOL = metrics.GENERIC

_NEAR = 8
"""Pixels around a moving object that count as near it: what a mask that is a
little too small, or an occluded background, spoils."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What the columns of the table are made of."""

    abs_rel: float
    """Each image at its own median scale."""

    global_abs_rel: float
    """All images at one scale."""

    delta1: float
    """At the median scale."""

    spread: float
    """Standard deviation of the images' scales / their median."""

    moving_abs_rel: float
    """On the pixels of moving cars."""

    near_abs_rel: float
    """On the static pixels around them."""

    static_abs_rel: float
    """On all pixels that do not move."""

    ate: float
    """Metres, mean of the scenes: the trajectory in metres by the one scale
    of *depth*, aligned at the first camera alone."""

    ate_7dof: float
    """Metres, mean of the scenes: as published, at a scale of its own each."""

    lidar: float | None = None
    """AbsRel at the median scale on KITTI's lidar, Eigen protocol."""


def measure(
    run_folder: Path, data_folder: Path, lidar_folder: Path | None = None
) -> Figures:
    """Figures of the last weights of a run on the validation scenes.

    Args:
        run_folder: of `scdepth train`, finished.
        data_folder: scenes with depth, poses and instance masks.
        lidar_folder: KITTI drives with projected lidar.
    """
    run = runs.open_run(run_folder)
    model = runs.load_model(run, runs.weights_path(run, "last"))
    image_size = run.config.data.image_size
    scenes = data.open_scenes(data_folder, "val")
    predict_depth = predict.depth_predictor(model, image_size)
    samples = [read() for read in depth_samples(scenes)]
    depths = {
        id(sample.image): predict_depth(sample.image) for sample in samples
    }

    def predicted(image: np.ndarray) -> np.ndarray:
        return depths[id(image)]

    report = evaluate.evaluate_depth(predicted, samples, PROTOCOL)
    near = evaluate.evaluate_depth(
        predicted, [_around(sample) for sample in samples], PROTOCOL
    )
    motion = predict.motion_predictor(model, image_size)
    odometry = _odometry(motion, scenes, report.scale_median)
    return Figures(
        abs_rel=report.median_scaled.abs_rel,
        global_abs_rel=report.global_scaled.abs_rel,
        delta1=report.median_scaled.delta1,
        spread=report.scale_spread,
        moving_abs_rel=report.moving.abs_rel,
        near_abs_rel=near.moving.abs_rel,
        static_abs_rel=report.static.abs_rel,
        **odometry,
        lidar=lidar_folder and _on_lidar(predict_depth, lidar_folder),
    )


def _on_lidar(predict_depth: evaluate.PredictDepth, folder: Path) -> float:
    """AbsRel on the left camera's frames that have projected lidar."""
    scenes = data.open_scenes(folder, scenes="image_02")
    samples = [read() for read in depth_samples(scenes)]
    report = evaluate.evaluate_depth(predict_depth, samples, metrics.EIGEN)
    return report.median_scaled.abs_rel


def _around(sample: Sample) -> Sample:
    """The sample whose marked pixels are those around what moves."""
    grown = ndimage.binary_dilation(sample.moving, iterations=_NEAR)
    return sample._replace(moving=grown & ~sample.moving)


def _odometry(
    predict_motion: evaluate.PredictMotion,
    scenes: Sequence[Scene],
    metres_per_unit: float,
) -> dict[str, float]:
    errors = {"ate": [], "ate_7dof": []}
    for scene in scenes:
        estimate = evaluate.predict_trajectory(predict_motion, scene)
        estimate[:, :3, 3] *= metres_per_unit
        for name, alignment in (("ate", "none"), ("ate_7dof", "7dof")):
            errors[name].append(
                metrics.trajectory_errors(scene.poses, estimate, alignment).ate
            )
    return {name: float(np.mean(values)) for name, values in errors.items()}


if __name__ == "__main__":
    run_folder, data_folder, out, *lidar = map(Path, sys.argv[1:])
    figures = dataclasses.asdict(measure(run_folder, data_folder, *lidar))
    write_whole(out, json.dumps(figures, indent=1) + "\n")
