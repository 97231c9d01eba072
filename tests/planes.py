"""The analytic oracle: textured planes seen by a pinhole camera, exactly."""

import numpy as np

INTRINSICS = np.array([[100.0, 0.0, 62.3], [0.0, 110.0, 30.7], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 64, 128

# A road 1.5 below the first camera and a wall 12 before it: n·X = distance.
PLANES = (
    (np.array([0.0, 1.0, 0.0]), 1.5),
    (np.array([0.1, 0.0, 1.0]), 12.0),
)


def render(
    world_from_camera: np.ndarray, intrinsics: np.ndarray = INTRINSICS
) -> tuple[np.ndarray, np.ndarray]:
    """Image [1, H, W, 3] in [0, 1] and depth [1, H, W, 1] of the planes."""
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    rays = pixels @ np.linalg.inv(intrinsics).T
    rotation, centre = world_from_camera[:3, :3], world_from_camera[:3, 3]
    directions = rays @ rotation.T

    depth = np.full(u.shape, np.inf)
    for normal, distance in PLANES:
        towards = directions @ normal
        with np.errstate(divide="ignore"):
            z = (distance - centre @ normal) / towards
        depth = np.where((z > 0) & (z < depth), z, depth)
    points = centre + depth[..., None] * directions

    # Smooth over several pixels, so that bilinear sampling is nearly exact.
    waves = np.array([[1.0, 0.3, 0.5], [0.4, 1.1, -0.7], [-0.6, 0.5, 0.9]])
    image = 0.5 + 0.4 * np.sin(points @ waves.T + [0.0, 1.0, 2.0])
    return (
        image[None].astype(np.float32),
        depth[None, ..., None].astype(np.float32),
    )


def scene(source_from_target: np.ndarray):
    """Target and source views under a known motion [4, 4].

    Returns:
        target image, target depth, source image, source depth.
    """
    target = render(np.eye(4))
    source = render(np.linalg.inv(source_from_target))
    return *target, *source
