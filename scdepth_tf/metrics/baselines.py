"""Depth without looking at the image: what any network has to beat.

A baseline is a function of the image's size (height, width) and intrinsics
`[3, 3]` (or None where unknown) that returns depth `[h, w]`. It never sees
the image, and goes through the same evaluation as the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from scdepth_tf.metrics.depth import Protocol

Baseline = Callable[[tuple[int, int], np.ndarray | None], np.ndarray]


def constant_depth(depth: float = 10.0) -> Baseline:
    """The same depth everywhere. Under a median or global scale its value
    does not matter.
    """

    def predict(
        image_size: tuple[int, int], intrinsics: np.ndarray | None
    ) -> np.ndarray:
        return np.full(image_size, depth, np.float32)

    return predict


def fixed_depth(depth: np.ndarray) -> Baseline:
    """One depth map `[h, w]` for every image, as `mean_depth_map` makes."""

    def predict(
        image_size: tuple[int, int], intrinsics: np.ndarray | None
    ) -> np.ndarray:
        return depth

    return predict


def ground_plane(
    camera_height: float = 1.65, maximum_depth: float = 80.0
) -> Baseline:
    """A flat road below a level camera, and `maximum_depth` above it.

    Args:
        camera_height: Metres above the road (1.65 in KITTI). A median or
            global scale absorbs it, but for its ratio to `maximum_depth`.
        maximum_depth: Metres; depth is capped there.

    Returns:
        A baseline that needs intrinsics, else ValueError.
    """

    def predict(
        image_size: tuple[int, int], intrinsics: np.ndarray | None
    ) -> np.ndarray:
        if intrinsics is None:
            raise ValueError(
                "the ground plane baseline needs each image's intrinsics, "
                "got none; give them with the samples or leave it out"
            )
        return ground_plane_depth(
            image_size, intrinsics, camera_height, maximum_depth
        )

    return predict


def ground_plane_depth(
    image_size: tuple[int, int],
    intrinsics: np.ndarray,
    camera_height: float,
    maximum_depth: float,
) -> np.ndarray:
    """Depth of a flat road below a level camera.

    From Y = camera_height and v = f_y·Y/Z + c_y: Z = f_y·camera_height /
    (v − c_y) below the horizon row c_y.

    Args:
        image_size: Height and width, in pixels.
        intrinsics: `[3, 3]`, in pixels of that image.
        camera_height: Metres above the road.
        maximum_depth: Metres; the value above the horizon, and the cap.

    Returns:
        `[H, W]` float32 metres.
    """
    height, width = image_size
    below_horizon = np.arange(height) - intrinsics[1, 2]
    # Rows at which the road is nearer than the cap; the others, the horizon
    # and the sky among them, get the cap.
    nearest_row = intrinsics[1, 1] * camera_height / maximum_depth
    rows = intrinsics[1, 1] * camera_height / below_horizon.clip(nearest_row)
    return np.tile(rows[:, None], (1, width)).astype(np.float32)


def mean_depth_map(
    depths: Iterable[np.ndarray],
    image_size: tuple[int, int],
    protocol: Protocol,
) -> np.ndarray:
    """Mean depth of a training set, pixel by pixel.

    Every measurement in the protocol's depth range falls into the cell of
    the map that contains it, so sparse lidar and maps of several sizes need
    no interpolation. A cell that no measurement hit gets its row's mean; a
    row without any is interpolated between its neighbours.

    Args:
        depths: Ground truth maps `[H, W]` in metres (0 means none), of any
            size; read once, one at a time.
        image_size: Height and width of the map.
        protocol: Measurements outside its depth range, which no evaluation
            will ask for, are left out.

    Returns:
        `[h, w]` float32 metres.

    Raises:
        ValueError: There is no measurement at all.
    """
    height, width = image_size
    total = np.zeros(height * width)
    count = np.zeros(height * width)
    for depth in depths:
        rows, columns = np.nonzero(
            (depth > protocol.minimum_depth) & (depth < protocol.maximum_depth)
        )
        cells = (rows * height // depth.shape[0]) * width + (
            columns * width // depth.shape[1]
        )
        total += np.bincount(cells, depth[rows, columns], total.size)
        count += np.bincount(cells, minlength=count.size)
    if not count.any():
        raise ValueError(
            "the mean depth map needs training depth of "
            f"{protocol.minimum_depth:g}-{protocol.maximum_depth:g} m, got "
            "not one measurement; give depth maps in metres or leave it out"
        )
    total, count = total.reshape(image_size), count.reshape(image_size)
    mean = np.where(count > 0, total / count.clip(1), _row_means(total, count))
    return mean.astype(np.float32)


def _row_means(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """`[h, 1]`: mean over a row's measurements, rows without interpolated."""
    seen = np.flatnonzero(count.sum(1))
    means = total[seen].sum(1) / count[seen].sum(1)
    return np.interp(np.arange(len(total)), seen, means)[:, None]
