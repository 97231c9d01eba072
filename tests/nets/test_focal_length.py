"""Learnt focal lengths: bounded factors, and the truth on a rendered drive."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf.geometry import pose_vector
from scdepth_tf.nets.focal_length import LARGEST_FACTOR, FocalLengthScale
from scdepth_tf.synthetic.frame import render_frame
from scdepth_tf.synthetic.plan import make_street

SIZE = (64, 192)
SCALE = 0.1
"""Scene units a metre: depth and motion are known up to one scale."""


def test_factors_start_at_one_and_stay_within_two():
    layer = FocalLengthScale(3)
    np.testing.assert_array_equal(layer.factors(), 1)
    layer.weight.assign([1e3, -1e3, 0.01])
    np.testing.assert_allclose(
        layer.factors()[:2], [LARGEST_FACTOR, 1 / LARGEST_FACTOR]
    )
    assert layer.factors()[2] == pytest.approx(np.exp(0.1), rel=0.01)


def test_each_image_gets_the_factor_of_its_camera():
    layer = FocalLengthScale(3)
    layer.weight.assign([0.01, 0.02, 0.03])
    factors = layer(tf.constant([2, 0, 0, -1]))
    expected = [*layer.factors()[[2, 0, 0]], 1.0]  # no such camera: as given
    np.testing.assert_allclose(factors[:, 0], expected, rtol=1e-6)


def test_no_camera_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        FocalLengthScale(0)


class Known(keras.Model):
    """A network that says the same whatever it sees."""

    def __init__(self, values, trainable):
        super().__init__()
        self.values = self.add_weight(
            shape=values.shape, initializer="zeros", trainable=trainable
        )
        self.values.assign(values)
        self.built = True

    def call(self, images, training=False):
        return tf.convert_to_tensor(self.values)


@pytest.fixture(scope="module")
def swerving_drive():
    """Triplets of a rendered street on which the car swerves by up to 3
    degrees a frame: frames, true depths and poses, true intrinsics.
    """
    street = make_street(3, 40)
    path = dataclasses.replace(street.path, weave=0.5, weave_length=20.0)
    street = dataclasses.replace(street, path=path)
    rendered = [render_frame(street, index, SIZE) for index in range(5, 10)]
    images = np.stack([frame.image for frame in rendered]) / 255
    depth = np.stack([frame.depth for frame in rendered])[..., None]
    depth = np.where(depth > 0, depth, 100) * SCALE
    world = [frame.world_from_camera for frame in rendered]
    triplets = [(t, t - 1, t + 1) for t in range(1, len(rendered) - 1)]
    poses = np.array(
        [
            np.linalg.inv(world[source]) @ world[target]
            for target, *sources in triplets
            for source in sources
        ]
    )
    poses[:, :3, 3] *= SCALE
    return (
        tf.constant(images[np.array(triplets)], tf.float32),
        depth[np.array(triplets)].reshape(-1, *SIZE, 1).astype(np.float32),
        pose_vector(tf.constant(poses, tf.float32)).numpy(),
        rendered[0].intrinsics,
    )


@pytest.mark.parametrize("start", [0.7, 1.3])
def test_a_focal_length_30_percent_off_is_found(swerving_drive, start):
    """Depth is held at the truth up to scale; motion is learnt along from no
    rotation at all, so that a wrong focal length could hide in it.
    """
    frames, depths, poses, intrinsics = swerving_drive
    keras.utils.set_random_seed(0)
    straight = poses * [0.8, 0.8, 0.8, 0, 0, 0]
    model = sd.SCDepth(
        Known(depths, trainable=False),
        Known(straight.astype(np.float32), trainable=True),
        learned_focal_lengths=1,
    )
    wrong = np.array(intrinsics)
    wrong[:2, :2] *= start
    count = len(frames)
    batch = {
        "frames": frames,
        "jittered": frames,
        "intrinsics": tf.constant(np.stack([wrong] * count), tf.float32),
        "camera": tf.zeros(count, tf.int32),
    }
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(
        tf.data.Dataset.from_tensors(batch).repeat(150),
        shuffle=False,
        verbose=0,
    )
    found = start * model.focal_length_scale.factors()[0]
    assert found == pytest.approx(1.0, abs=0.03)
