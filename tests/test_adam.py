"""The fused Adam against Keras'."""

import keras
import numpy as np
import pytest

from scdepth_tf import stack
from scdepth_tf.adam import Adam

pytestmark = pytest.mark.skipif(
    stack.IS_KERAS_2, reason="under Keras 2 its own Adam is used"
)

SHAPES = (3, 4), (5,)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"global_clipnorm": 0.5},
        {"gradient_accumulation_steps": 2},
        {
            "learning_rate": keras.optimizers.schedules.ExponentialDecay(
                0.1, 2, 0.5
            )
        },
    ],
)
def test_steps_are_those_of_keras(rng, options):
    gradients = [
        [rng.normal(0, 10.0**-step, shape) for shape in SHAPES]
        for step in range(4)
    ]
    ends = []
    for optimizer in (Adam, keras.optimizers.Adam):
        weights = [
            keras.Variable(np.ones(shape, np.float32), name=f"weight_{i}")
            for i, shape in enumerate(SHAPES)
        ]
        adam = optimizer(**({"learning_rate": 0.1} | options))
        for step in gradients:
            adam.apply([g.astype(np.float32) for g in step], weights)
        ends.append([*weights, *adam.variables])
    for ours, theirs in zip(*ends, strict=True):
        assert ours.path.split("/")[-1] == theirs.path.split("/")[-1]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_it_is_serialised_and_comes_back():
    adam = Adam(0.3, beta_1=0.8, global_clipnorm=2.0)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(adam)
    )
    assert isinstance(again, Adam)
    assert again.get_config() == adam.get_config()
