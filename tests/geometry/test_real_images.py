"""The warp on real images: measured depth and motion explain the next frame.

L1 is the mean |difference| of RGB in [0, 1] at pixels with measured depth,
averaged over the pairs; `pytest --junitxml=FILE` records the figures.
"""

import numpy as np
import tensorflow as tf
from PIL import Image

from scdepth_tf import data, geometry, losses


def errors(target, source, depth, source_from_target, intrinsics):
    """Warped and unwarped error, L1 and SSIM, where depth is measured."""
    depth = depth[None, ..., None].astype(np.float32)
    target, source = (
        (image[None] / 255.0).astype(np.float32) for image in (target, source)
    )
    warp = geometry.inverse_warp(
        source,
        np.ones_like(depth),
        np.where(depth > 0, depth, 1.0),
        tf.constant(source_from_target[None], tf.float32),
        tf.constant(intrinsics[None], tf.float32),
    )
    seen = (depth[..., 0] > 0) & (warp.valid.numpy()[..., 0] > 0)
    result = []
    for image in (warp.image.numpy(), source):
        result.append(np.abs(image - target)[seen].mean())
        distance = losses.ssim_distance(target, image).numpy()
        result.append(distance[seen].mean())
    return np.array(result)


def test_lidar_and_oxts_explain_the_next_kitti_frame(
    shared_data, record_property
):
    """Drive 0023: L1 falls to about half. (SSIM needs dense depth.)"""
    (scene,) = data.open_scenes(
        shared_data / "kitti_raw", scenes="0023*image_02"
    )
    measured = []
    for i in range(len(scene) - 1):
        source_from_target = np.linalg.inv(scene.poses[i + 1]) @ scene.poses[i]
        measured.append(
            errors(
                scene.image(i),
                scene.image(i + 1),
                scene.depth(i),
                source_from_target,
                scene.intrinsics,
            )
        )
    warped, _, unwarped, _ = np.mean(measured, axis=0)
    record_property("L1 unwarped, warped", f"{unwarped}, {warped}")
    assert len(measured) == 6
    assert warped < 0.6 * unwarped
    assert all(pair[0] < 0.7 * pair[2] for pair in measured)


def test_kinect_depth_and_poses_explain_the_next_indoor_frame(
    shared_data, record_property
):
    """7-Scenes kitchen: L1 and SSIM distance fall to well below half."""
    folder = shared_data / "seven_scenes_redkitchen"
    intrinsics = np.loadtxt(folder / "camera-intrinsics.txt")

    def load(number):
        stem = folder / f"frame-{number:06d}"
        millimetres = np.asarray(Image.open(f"{stem}.depth.png"))
        depth = np.where(millimetres == 65535, 0, millimetres) / 1000.0
        image = np.asarray(Image.open(f"{stem}.color.jpg"))
        return image, depth, np.loadtxt(f"{stem}.pose.txt")

    measured = []
    for number in range(0, 400, 40):
        target, depth, world_from_target = load(number)
        source, _, world_from_source = load(number + 4)
        measured.append(
            errors(
                target,
                source,
                depth,
                np.linalg.inv(world_from_source) @ world_from_target,
                intrinsics,
            )
        )
    warped, warped_ssim, unwarped, unwarped_ssim = np.mean(measured, axis=0)
    record_property("L1 unwarped, warped", f"{unwarped}, {warped}")
    record_property("SSIM unwarped, warped", f"{unwarped_ssim}, {warped_ssim}")
    assert warped < 0.6 * unwarped
    assert warped_ssim < 0.7 * unwarped_ssim
