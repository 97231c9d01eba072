"""Learning rates at the steps that matter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.config import TrainConfig
from scdepth_tf.schedules import learning_rate


def rate(step, **choices):
    config = TrainConfig(
        learning_rate=1e-3, steps_per_epoch=10, epochs=40, **choices
    )
    chosen = learning_rate(config)
    return float(chosen(step)) if callable(chosen) else chosen


def test_constant_is_constant():
    assert rate(0) == rate(399) == 1e-3


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warm_up_climbs_evenly_from_a_tenth_to_the_peak(schedule):
    rates = [
        rate(step, schedule=schedule, warmup_steps=20) for step in (0, 10, 20)
    ]
    np.testing.assert_allclose(rates, [1e-4, 5.5e-4, 1e-3], rtol=1e-5)


def test_cosine_climbs_for_a_tenth_of_the_run_unless_told():
    assert rate(40, schedule="cosine") == pytest.approx(1e-3)
    assert rate(20, schedule="cosine") == pytest.approx(5.5e-4)
    assert rate(400, schedule="cosine") == pytest.approx(5e-5)
    assert rate(0, schedule="cosine", warmup_steps=0) == pytest.approx(1e-3)


def test_step_falls_to_a_tenth_when_its_epochs_are_over():
    choices = {"schedule": "step", "decay_epochs": 15}
    for step, expected in (
        (0, 1e-3),
        (149, 1e-3),
        (150, 1e-4),
        (299, 1e-4),
        (300, 1e-5),
    ):
        assert rate(step, **choices) == pytest.approx(expected)


def test_a_schedule_survives_its_config():
    config = TrainConfig(schedule="step", warmup_steps=7)
    optimizer = keras.optimizers.Adam(learning_rate(config))
    again = keras.optimizers.Adam.from_config(optimizer.get_config())
    for step in (0, 5, 20_000):
        assert float(again._learning_rate(step)) == float(
            optimizer._learning_rate(step)
        )


def test_the_rate_of_the_next_update_follows_a_restored_count():
    """Keras 2 by itself shows the last one of this process."""
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)
    optimizer = stack.Adam(schedule)
    optimizer.build([tf.Variable([1.0])])
    optimizer.iterations.assign(4)
    assert float(stack.learning_rate(optimizer)) == pytest.approx(0.6)
    scaled = stack.LossScaleOptimizer(stack.Adam(0.25))
    rate = tf.convert_to_tensor(stack.learning_rate(scaled))
    assert float(rate) == 0.25
