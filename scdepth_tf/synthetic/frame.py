"""From a street and a frame number to image, depth, labels and pose."""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.shading import radiance, tone
from scdepth_tf.synthetic.shapes import STATIC
from scdepth_tf.synthetic.street import Street
from scdepth_tf.synthetic.visibility import first_hits


@dataclasses.dataclass(frozen=True)
class Frame:
    """One rendered frame.

    Attributes:
      image: `[H, W, 3]` uint8 RGB.
      depth: `[H, W]` float32, planar depth (camera z) in metres of what the
        ray through each pixel's centre meets; 0 is sky.
      instance: `[H, W]` uint8: 0 static, 1 parked car, 2 moving car.
      world_from_camera: `[4, 4]` float64, metres.
      intrinsics: `[3, 3]` float64, pixels; (0, 0) is the centre of the
        top-left pixel.
    """

    image: np.ndarray
    depth: np.ndarray
    instance: np.ndarray
    world_from_camera: np.ndarray
    intrinsics: np.ndarray


def kitti_intrinsics(image_size: tuple[int, int]) -> np.ndarray:
    """KITTI's colour camera (P_rect_02 of 2011_09_26, 1242×375) resized to
    `image_size` (height, width): `[3, 3]` float64, pixels.
    """
    height, width = image_size
    across, down = width / 1242, height / 375
    return np.array(
        [
            [721.5377 * across, 0.0, (609.5593 + 0.5) * across - 0.5],
            [0.0, 721.5377 * down, (172.854 + 0.5) * down - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )


def render_frame(
    street: Street, frame_index: int, image_size: tuple[int, int] = (128, 416)
) -> Frame:
    """Render one frame of a street.

    Colour is a weighted mean of 3×3 rays half a pixel apart; depth and label
    are the middle one's.

    Args:
      street: from `make_street`.
      frame_index: in [0, street.frames).
      image_size: height and width in pixels.

    Raises:
      ValueError: the street is not made for that frame.
    """
    if not 0 <= frame_index < street.frames:
        raise ValueError(
            f"expected a frame in [0, {street.frames}) of this street, got "
            f"{frame_index}; make_street(seed, frames) makes longer ones"
        )
    height, width = image_size
    intrinsics = kitti_intrinsics(image_size)
    pose = street.path.world_from_camera(frame_index)
    quads, rounds, shadows = street.at(frame_index)

    x, y = _rays(intrinsics, height, width)
    hits = first_hits(quads, rounds, street.atlas, pose, x, y)
    light = radiance(
        quads, rounds, street.atlas, shadows, street.light, street.bend, hits,
        pose, x, y,
    )  # fmt: skip
    centres = np.s_[1::2, 1::2]
    surface, inverse_depth = hits.surface[centres], hits.inverse_depth[centres]
    depth = np.zeros((height, width), np.float32)
    np.divide(1, inverse_depth, out=depth, where=surface >= 0)
    labels = np.concatenate([quads.instance, rounds.instance, [STATIC]])
    return Frame(
        image=tone(_tent(light), street.light.exposure),
        depth=depth,
        instance=labels[surface].astype(np.uint8),
        world_from_camera=pose,
        intrinsics=intrinsics,
    )


def _rays(intrinsics, height, width):
    """Normalised coordinates of a grid twice as fine as the pixels, whose
    odd rows and columns are pixel centres: x `[2·width + 1]`,
    y `[2·height + 1]`.
    """
    u = (np.arange(2 * width + 1) - 1) / 2
    v = (np.arange(2 * height + 1) - 1) / 2
    return (
        (u - intrinsics[0, 2]) / intrinsics[0, 0],
        (v - intrinsics[1, 2]) / intrinsics[1, 1],
    )


def _tent(fine):
    """Pixels `[3, H, W]` from rays `[3, 2H + 1, 2W + 1]`, weighted 1-2-1
    along both axes.
    """
    rows = 0.25 * (fine[:, :-2:2] + fine[:, 2::2]) + 0.5 * fine[:, 1:-1:2]
    return 0.25 * (rows[..., :-2:2] + rows[..., 2::2]) + 0.5 * rows[..., 1:-1:2]
