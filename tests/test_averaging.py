"""The averaged weights follow their formula, whatever a step does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import stack
from scdepth_tf.averaging import WeightAverage
from tests import tiny_training
from tests.tiny_model import AccumulatingSGD, batch_of


def model_with_statistics(optimizer):
    """Networks with BatchNorm."""
    keras.utils.set_random_seed(0)
    model = sd.SCDepth(
        tiny_training.TinyDepth(), tiny_training.TinyPose(), jit_losses=False
    )
    model.compile(optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


def train(model, average, *batches):
    """The weights after each step."""
    average.set_model(model)
    seen = []
    for batch in batches:
        model.train_step(batch)
        average.on_train_batch_end(0)
        seen.append(model.get_weights())
    return seen


def by_formula(start, updates, momentum):
    average = start
    for count, weights in enumerate(updates, 1):
        m = min(momentum, (1 + count) / (10 + count))
        average = [
            m * old + (1 - m) * new
            for old, new in zip(average, weights, strict=True)
        ]
    return average


def assert_close(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def averaged(model, average):
    with average.in_model():
        return model.get_weights()


def bad_batch():
    batch = batch_of()
    return batch | {"frames": batch["frames"] * np.nan}


@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_average_is_the_formula_and_the_model_keeps_its_own(momentum):
    """With BatchNorm's running statistics."""
    model = model_with_statistics(keras.optimizers.Adam(0.05))
    start = model.get_weights()
    average = WeightAverage(model, momentum)
    seen = train(model, average, *[batch_of()] * 4)
    expected = by_formula(start, seen, momentum)
    assert_close(averaged(model, average), expected)
    distances = [
        np.abs(a - b).max()
        for a, b in zip(expected, seen[-1], strict=True)
        if a.dtype.kind == "f"
    ]
    assert np.median(distances) > 1e-3
    for own, last in zip(model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(own, last)


def test_fit_validates_the_average_and_goes_on_with_the_weights():
    model = model_with_statistics(keras.optimizers.Adam(0.05))
    average = WeightAverage(model, 0.9)
    validated = []
    recorder = keras.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: validated.append(
            model.get_weights()
        )
    )
    model.fit(
        tf.data.Dataset.from_tensors(batch_of()).repeat(2),
        validation_data=tf.data.Dataset.from_tensors(batch_of()),
        callbacks=[average, recorder],
        shuffle=False,
        verbose=0,
    )
    assert_close(validated[0], averaged(model, average))
    assert any(
        np.abs(a - b).max() > 1e-3
        for a, b in zip(validated[0], model.get_weights(), strict=True)
    )


@pytest.mark.parametrize("scaled", [False, True])
def test_skipped_steps_do_not_count(scaled):
    """A skipped step moves BatchNorm's statistics, not the average."""
    optimizer = keras.optimizers.SGD(0.05)
    if scaled:
        optimizer = stack.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    model = model_with_statistics(optimizer)
    start = model.get_weights()
    average = WeightAverage(model, 0.9)
    seen = train(model, average, batch_of(), bad_batch(), batch_of())
    expected = by_formula(start, [seen[0], seen[2]], 0.9)
    assert_close(averaged(model, average), expected)


def test_steps_that_only_accumulate_do_not_count():
    model = model_with_statistics(
        AccumulatingSGD(0.05, gradient_accumulation_steps=2)
    )
    start = model.get_weights()
    average = WeightAverage(model, 0.9)
    seen = train(model, average, *[batch_of()] * 5)
    expected = by_formula(start, [seen[1], seen[3]], 0.9)
    assert_close(averaged(model, average), expected)
