"""Cameras, rigid motion and the inverse warp. The conventions, said once.

Camera
    X points right, Y down, Z forward. Pixel centres lie at integers; (0, 0) is
    the centre of the top-left pixel. Everything works in pixels; there is no
    normalised grid anywhere.
Images
    `[B, H, W, 3]` float32 RGB in [0, 1] (uint8 only at the outer edge).
Depth
    `[B, H, W, 1]`, the camera's Z coordinate, > 0, in units of one unknown
    global scale ("scene units") until somebody calibrates it to metres.
Intrinsics
    `[B, 3, 3]` in pixels of the image they travel with:
    resize by s: fx·s, cx' = (cx + 0.5)·s − 0.5; crop: cx − x0;
    horizontal flip: cx' = W − 1 − cx.
Poses
    A pose is named by its frames: `source_from_target` `[B, 4, 4]` maps points
    of the target camera into the source camera, and composition reads
    `c_from_b @ b_from_a`. The pose vector is (tx, ty, tz, rx, ry, rz), with
    R = Rx·Ry·Rz in radians.
"""

from scdepth_tf.geometry.camera import (
    backproject,
    crop_intrinsics,
    flip_intrinsics,
    pixel_grid,
    project,
    scale_intrinsics,
    viewing_rays,
)
from scdepth_tf.geometry.rigid import (
    inverse_pose,
    mirror_pose,
    pose_matrix,
    pose_vector,
)
from scdepth_tf.geometry.warp import Warp, bilinear_sample, inverse_warp

__all__ = [
    "inverse_warp",
    "Warp",
    "bilinear_sample",
    "pose_matrix",
    "pose_vector",
    "inverse_pose",
    "mirror_pose",
    "backproject",
    "project",
    "pixel_grid",
    "viewing_rays",
    "scale_intrinsics",
    "crop_intrinsics",
    "flip_intrinsics",
]
