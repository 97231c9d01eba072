"""Small scenes on disk, of our own making, for tests of whole programs."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests import planes


def write_scene(folder: Path, frames: int = 5, speed: float = 0.3) -> Path:
    """A drive towards the wall of `planes`, with exact depth and poses."""
    (folder / "depth").mkdir(parents=True)
    rows = []
    for i in range(frames):
        pose = np.eye(4)
        pose[2, 3] = speed * i
        image, depth = planes.render(pose)
        pixels = (image[0] * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:06d}.png")
        np.save(folder / "depth" / f"{i:06d}.npy", depth[0, ..., 0])
        rows.append(pose[:3].ravel())
    np.savetxt(folder / "poses.txt", rows)
    np.savetxt(folder / "cam.txt", planes.INTRINSICS)
    return folder


def write_folder(root: Path) -> Path:
    """Two training scenes and one to validate on."""
    for number, name in enumerate(("a", "b", "c")):
        write_scene(root / name, speed=0.2 + 0.1 * number)
    (root / "train.txt").write_text("a\nb\n")
    (root / "val.txt").write_text("c\n")
    return root


def write_pairs(folder: Path, pairs: int = 3, speed: float = 0.3) -> Path:
    """Pairs from drives towards the wall of `planes`, each with a camera of
    its own, named as Unsupervised-Indoor-Depth names its rectified ones.
    """
    folder.mkdir(parents=True)
    for i in range(pairs):
        intrinsics = pair_intrinsics(i)
        for side in (0, 1):
            pose = np.eye(4)
            pose[2, 3] = speed * (i + side)
            image, _ = planes.render(pose, intrinsics)
            pixels = (image[0] * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(
                folder / f"{i:06d}_{side}.jpg", quality=95, subsampling=0
            )
        np.savetxt(folder / f"{i:06d}_cam.txt", intrinsics)
    return folder


def pair_intrinsics(index: int) -> np.ndarray:
    """[3, 3] of a pair of `write_pairs`."""
    intrinsics = planes.INTRINSICS.copy()
    intrinsics[:2, :2] *= 1 + 0.2 * index
    intrinsics[:2, 2] += 3 * index, -2 * index
    return intrinsics
