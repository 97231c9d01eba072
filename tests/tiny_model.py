"""SCDepth with networks of a few weights, and a batch with known motion."""

import keras
import numpy as np
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import stack
from scdepth_tf.geometry import pose_matrix
from tests import planes


@keras.saving.register_keras_serializable("scdepth_tf_tests")
class TinyDepth(keras.Model):
    """A depth network of a few weights, to test everything around it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(1, 3, padding="same", name="conv")
        self.conv.build((None, None, None, 3))
        self.calls = []
        self.built = True

    def call(self, images, training=False):
        self.calls.append(images.shape)
        return 4.0 + 2.0 * tf.tanh(tf.cast(self.conv(images), tf.float32))


@keras.saving.register_keras_serializable("scdepth_tf_tests")
class TinyPose(keras.Model):
    """A pose network of a few weights."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(6, name="dense")
        self.dense.build((None, 6))
        self.calls = []
        self.built = True

    def call(self, pairs, training=False):
        self.calls.append(pairs.shape)
        # Half precision cannot add up thousands of pixels.
        mean = tf.reduce_mean(tf.cast(pairs, tf.float32), axis=[1, 2])
        return 0.1 * tf.cast(self.dense(mean), tf.float32)


class AccumulatingSGD(stack.Accumulates, keras.optimizers.SGD):
    """With Keras 2 as well."""


def tiny_model(**kwargs) -> sd.SCDepth:
    keras.utils.set_random_seed(0)
    return sd.SCDepth(TinyDepth(), TinyPose(), **kwargs)


def batch_of(count=2):
    poses = pose_matrix(
        tf.constant(
            [[0, 0, -0.4, 0, 0.01, 0], [0, 0, 0.4, 0, -0.01, 0]], tf.float32
        )
    ).numpy()
    views = [planes.render(np.eye(4))[0]]
    views += [planes.render(np.linalg.inv(pose))[0] for pose in poses]
    frames = tf.constant(np.stack(views, axis=1))
    frames = tf.concat([frames] * count, axis=0)
    intrinsics = tf.constant(planes.INTRINSICS[None], tf.float32)
    return {
        "frames": frames,
        "jittered": frames * 0.9,
        "intrinsics": tf.concat([intrinsics] * count, axis=0),
    }
