"""Sequences whose depth and motion are known exactly."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scdepth_tf.config import PredictConfig
from scdepth_tf.metres import Scale
from scdepth_tf.predict import description, job
from scdepth_tf.predict.sources import Source
from scdepth_tf.prepare.footage import Frame
from tests import planes


class Drive:
    """A drive along the road of `planes`, and a predictor that knows all.

    Args:
        frames: how many.
        length: of the drive, at most 10 (the wall is 12 away).
        sign: where a square sign stands in each frame, its z; it is
            1.2 wide and high, its left edge at x = 0.4, its foot on the road.

    Attributes:
        asked: how many frames the predictor was asked about.
        fail_at: the predictor raises at this frame, as if killed.
        slips: [N] by which the predicted motions are too long, a fraction.
        spoil: (frame, what) that is predicted as NaN.
    """

    def __init__(
        self,
        frames: int = 6,
        length: float = 1.5,
        sign: Sequence[float] | None = None,
    ):
        self.poses = np.tile(np.eye(4), (frames, 1, 1))
        self.poses[:, 2, 3] = np.linspace(0, length, frames)
        self.poses[:, 0, 3] = 0.1 * np.sin(np.arange(frames))
        self.images, self.depths = [], []
        for index, pose in enumerate(self.poses):
            image, depth = planes.render(pose)
            pixels = (image[0] * 255).round().astype(np.uint8)
            if sign is not None:
                put_sign(pixels, depth[0, ..., 0], pose, sign[index])
            pixels[0, 0] = index  # tells the predictor which frame it is
            self.images.append(pixels)
            self.depths.append(depth[0, ..., 0])
        self.asked = 0
        self.fail_at: int | None = None
        self.spoil: tuple[int, str] | None = None
        self.slips = np.zeros(frames)

    def source(self, name: str = "drive", camera: bool = True) -> Source:
        def frames() -> Iterator[Frame]:
            for index, image in enumerate(self.images):
                yield Frame(
                    index / 10, False, lambda i=image: i, f"{index:06d}"
                )

        return Source(
            name=name,
            image_size=(planes.HEIGHT, planes.WIDTH),
            intrinsics=planes.INTRINSICS if camera else None,
            expected_frames=len(self.images),
            frames=frames,
        )

    def predictor(
        self, images: Sequence[np.ndarray], previous: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        indices = [int(image[0, 0, 0]) for image in images]
        self.asked += len(indices)
        if self.fail_at in indices:
            raise KeyboardInterrupt
        before = indices[0] if previous is None else int(previous[0, 0, 0])
        poses = self.poses[[before, *indices]]
        motions = np.linalg.inv(poses[1:]) @ poses[:-1]
        motions[:, :3, 3] *= 1 + self.slips[indices, None]
        depths = np.stack([self.depths[index] for index in indices])
        if self.spoil and self.spoil[0] in indices:
            at = indices.index(self.spoil[0])
            (depths if self.spoil[1] == "depth" else motions)[at, 1, 1] = np.nan
        return depths, motions


SIGN_COLOR = (255, 255, 255)
"""Brighter than any plane."""


def put_sign(
    pixels: np.ndarray, depth: np.ndarray, pose: np.ndarray, z: float
) -> None:
    """Draws the sign at `z` into an image [H, W, 3] and its depth [H, W]."""
    v, u = np.mgrid[: planes.HEIGHT, : planes.WIDTH]
    rays = np.stack([u, v, np.ones_like(u)], -1).astype(float)
    rays = rays @ np.linalg.inv(planes.INTRINSICS).T  # cameras do not turn
    distance = z - pose[2, 3]
    x, y = (pose[axis, 3] + distance * rays[..., axis] for axis in (0, 1))
    hit = (x > 0.4) & (x < 1.6) & (y > 0.3) & (y < 1.5) & (distance < depth)
    depth[hit] = distance
    pixels[hit] = SIGN_COLOR


def predict(
    drive: Drive,
    out: Path,
    *write: str,
    scale: Scale | None = None,
    align: bool = False,
    **config: object,
):
    """Runs the job on a drive, as `scdepth predict` does; the motions that the
    predictor says are exact, so there is nothing to align.
    """
    description.claim(out, {"of": "test"})
    choices = PredictConfig(write=write, align=align, **config)
    return job.predict_sources(
        [drive.source()], drive.predictor, out, choices, scale=scale
    )
