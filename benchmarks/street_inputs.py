"""Inputs of the benchmarks: rendered streets with their depth and motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scdepth_tf.synthetic import kitti_intrinsics, make_street, render_frame

METRES_PER_UNIT = 20.0
SKY = 100.0
"""Metres, where the depth is infinite."""


def write_inputs(
    path: Path, image_size: tuple[int, int], batch_size: int, sources: int = 2
) -> None:
    """Write a batch of snippets as .npz.

    frames [B, 1 + N, H, W, 3] float32 in [0, 1], the target first; depths
    [B, 1 + N, H, W, 1] scene units; poses and reverse_poses [B, N, 6]
    vectors of `sources_from_target` and `target_from_sources`; intrinsics
    [B, 3, 3]. All snippets are the same frames in brighter or darker light.
    """
    # The target in the middle: 1, 0, 2 for two sources.
    middle = sources // 2
    order = [middle, *(i for i in range(sources + 1) if i != middle)]
    street = make_street(3, frames=sources + 1)
    rendered = [render_frame(street, i, image_size) for i in order]
    images = np.stack([frame.image for frame in rendered]) / 255
    light = np.linspace(1.0, 0.8, batch_size)[:, None, None, None, None]
    depth = np.stack([frame.depth for frame in rendered])[..., None]
    depth = np.where(depth > 0, np.minimum(depth, SKY), SKY) / METRES_PER_UNIT
    motions = [
        np.linalg.inv(frame.world_from_camera) @ rendered[0].world_from_camera
        for frame in rendered[1:]
    ]
    arrays = {
        "frames": images[None] * light,
        "depths": _repeat(depth, batch_size),
        "poses": _repeat([_vector(m) for m in motions], batch_size),
        "reverse_poses": _repeat(
            [_vector(np.linalg.inv(m)) for m in motions], batch_size
        ),
        "intrinsics": _repeat(kitti_intrinsics(image_size), batch_size),
    }
    np.savez(path, **{k: v.astype(np.float32) for k, v in arrays.items()})


def _repeat(values: np.ndarray | list, count: int) -> np.ndarray:
    return np.repeat(np.asarray(values)[None], count, axis=0)


def _vector(pose: np.ndarray) -> np.ndarray:
    """(tx, ty, tz, rx, ry, rz) of a pose in metres, R = Rx·Ry·Rz."""
    angles = (
        np.arctan2(-pose[1, 2], pose[2, 2]),
        np.arcsin(pose[0, 2]),
        np.arctan2(-pose[0, 1], pose[0, 0]),
    )
    return np.array([*(pose[:3, 3] / METRES_PER_UNIT), *angles])
