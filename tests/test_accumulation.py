"""Gradients of small batches add up to the step of a large one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import stack
from tests.tiny_model import AccumulatingSGD, TinyDepth, TinyPose, batch_of

EVERY_PIXEL = sd.LossConfig(auto_mask=False)
"""Means of masked means are no masked means: without M_a, and at rest where
every pixel is in view, all masks are full."""


def standing_model(optimizer):
    """Two networks without BatchNorm, the second of which sees no motion."""
    keras.utils.set_random_seed(0)
    model = sd.SCDepth(
        TinyDepth(), TinyPose(), loss=EVERY_PIXEL, jit_losses=False
    )
    dense = model.pose_net.dense
    dense.kernel.assign(tf.zeros_like(dense.kernel))
    model.compile(optimizer)
    return model


def two_batches():
    """Of one triplet each; the second one is upside down and brighter."""
    first = batch_of(1)
    second = dict(first)
    for name in ("frames", "jittered"):
        second[name] = tf.reverse(first[name], axis=[2]) * 1.3
    return first, second


def trained(optimizer, *batches):
    model = standing_model(optimizer)
    before = model.get_weights()
    for batch in batches:
        model.train_step(batch)
    changes = [
        after - start
        for after, start in zip(model.get_weights(), before, strict=True)
    ]
    return model, changes


def together(first, second):
    return {
        name: tf.concat([first[name], second[name]], axis=0) for name in first
    }


RATE = 1.0
"""So that a step is large beside the last bit of the weights it changes."""


def sgd(**kwargs):
    return AccumulatingSGD(RATE, **kwargs)


def assert_same_step(one, other):
    for a, b in zip(one, other, strict=True):
        assert np.abs(a).max() > 0
        np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(a).max())


@pytest.mark.parametrize("clip", [None, 0.02])
def test_two_small_batches_make_the_step_of_a_large_one(clip):
    """What is clipped is their mean."""
    first, second = two_batches()
    _, large = trained(sgd(global_clipnorm=clip), together(first, second))
    _, small = trained(
        sgd(global_clipnorm=clip, gradient_accumulation_steps=2), first, second
    )
    assert_same_step(large, small)
    _, alone = trained(sgd(global_clipnorm=clip), first)
    assert any(
        np.abs(a - b).max() > 0.05 * np.abs(a).max()
        for a, b in zip(large, alone, strict=True)
    )
    if clip:
        norm = np.sqrt(sum(np.sum(change**2) for change in large))
        np.testing.assert_allclose(norm, RATE * clip, rtol=1e-4)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_batch_that_is_not_finite_has_no_share(scaled):
    first, second = two_batches()
    bad = first | {"jittered": first["jittered"] * np.nan}
    _, expected = trained(sgd(gradient_accumulation_steps=2), first, second)
    optimizer = sgd(gradient_accumulation_steps=2)
    if scaled:
        optimizer = stack.LossScaleOptimizer(optimizer, initial_scale=512.0)
    model, changes = trained(optimizer, first, bad, second)
    assert_same_step(expected, changes)
    assert int(model.optimizer.iterations) == 1
    history = model.get_metrics_result()
    assert float(history["skipped"]) == 1


def test_until_all_batches_are_in_the_weights_stay():
    first, _ = two_batches()
    _, changes = trained(sgd(gradient_accumulation_steps=3), first, first)
    assert all((change == 0).all() for change in changes)
