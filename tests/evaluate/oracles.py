"""Exact scenes and predictors that know the truth, or spoil it as told."""

import numpy as np
from PIL import Image

from scdepth_tf import data
from scdepth_tf.metrics.odometry import inverse
from tests import planes, streets

UNIT = 4.0
"""Metres in a scene unit of the oracles."""
CAR = np.s_[30:50, 80:110]
"""Pixels of a car that leads at constant distance."""
CAR_DEPTH = 4.0


def write_scenes(root, names=("a", "b"), frames=8, car=False):
    """Drives towards a wall; with a car that keeps its place in the image.

    Each begins where no other has been, so that no two images are equal.
    """
    for number, name in enumerate(names):
        count = frames + number
        folder = streets.write_scene(root / name, count, 0.3 + 0.07 * number)
        for index in range(count if car else 0):
            _add_car(folder, index)
    return [
        scene.part(number, len(scene))
        for number, scene in enumerate(data.open_scenes(root))
    ]


def _add_car(folder, index):
    frame = folder / f"{index:06d}.png"
    with Image.open(frame) as opened:
        image = np.array(opened)
    stripes = np.arange(30) % 5 * 60
    image[CAR] = np.broadcast_to(stripes[:, None], (20, 30, 3))
    Image.fromarray(image).save(frame)
    path = folder / "depth" / f"{index:06d}.npy"
    depth = np.load(path)
    instance = np.zeros(depth.shape, np.uint8)
    depth[CAR], instance[CAR] = CAR_DEPTH, 2
    np.savez(path.with_suffix(".npz"), depth=depth, instance=instance)
    path.unlink()


class Oracle:
    """True depth and motion in scene units, by looking the image up.

    Args:
        scenes: whose truth it knows.
        growth: of its scale from frame to frame.
        still: predict no motion.
    """

    def __init__(self, scenes, growth=0.0, still=False):
        self._at = {
            scene.image(index).tobytes(): (scene, index)
            for scene in scenes
            for index in range(len(scene))
        }
        self._growth, self._still = growth, still

    def depth(self, image):
        scene, index = self._at[image.tobytes()]
        truth = scene.depth(index)
        scale = UNIT * np.exp(self._growth * index)
        return np.where(truth > 0, truth, 50) / scale

    def motion(self, target, source):
        if self._still:
            return np.eye(4)
        (scene, i), (_, j) = (
            self._at[image.tobytes()] for image in (target, source)
        )
        motion = inverse(scene.poses[j]) @ scene.poses[i]
        motion[:3, 3] /= UNIT
        return motion


INTRINSICS = planes.INTRINSICS
