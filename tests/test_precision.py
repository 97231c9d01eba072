"""Half precision: the networks' alone, with the same gradients."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import resume, stack
from tests import streets, tiny_training
from tests.tiny_model import batch_of, tiny_model


def scaled_from(optimizer, scale, growth_steps=2000):
    return stack.LossScaleOptimizer(
        optimizer, initial_scale=scale, dynamic_growth_steps=growth_steps
    )


def scale_of(optimizer):
    return stack.loss_scale_variables(optimizer)[0].numpy()


@contextlib.contextmanager
def policy(name):
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def fit(model, batch, steps=1):
    dataset = tf.data.Dataset.from_tensors(batch).repeat(steps)
    return model.fit(dataset, shuffle=False, verbose=0).history


def compiled(precision, optimizer):
    with policy(precision):
        model = tiny_model(jit_losses=False)
    model.compile(optimizer)
    return model


def gradient(precision, optimizer=None):
    """As SGD with rate 1 takes it."""
    model = compiled(precision, optimizer or keras.optimizers.SGD(1.0))
    before = [v.numpy() for v in model.trainable_variables]
    history = fit(model, batch_of())
    after = [v.numpy() for v in model.trainable_variables]
    return [a - b for a, b in zip(before, after, strict=True)], history


def error(gradients, exact):
    """Largest relative error of a weight's gradient."""
    return max(
        np.linalg.norm(g - e) / np.linalg.norm(e)
        for g, e in zip(gradients, exact, strict=True)
    )


@pytest.fixture(scope="module")
def exact():
    gradients, history = gradient("float32")
    return gradients, history["loss"][0]


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [
        ("mixed_float16", 0.02),
        pytest.param(
            "mixed_bfloat16",
            0.1,
            marks=pytest.mark.skipif(
                stack.IS_KERAS_2, reason="refused under Keras 2"
            ),
        ),
    ],
)
def test_gradients_are_close_to_float32(exact, precision, tolerance):
    gradients, history = gradient(precision)
    assert history["skipped"] == [0.0]
    assert 0 < error(gradients, exact[0]) < tolerance
    np.testing.assert_allclose(history["loss"], exact[1], rtol=tolerance)


def test_bfloat16_is_refused_under_keras_2(monkeypatch):
    monkeypatch.setattr(stack, "IS_KERAS_2", True)
    stack.check_precision("mixed_float16")
    with pytest.raises(ValueError, match="use mixed_float16 or float32"):
        stack.check_precision("mixed_bfloat16")


def test_without_loss_scaling_float16_gradients_would_be_worse(exact):
    scaled, _ = gradient("mixed_float16")
    plain, _ = gradient(
        "mixed_float16", scaled_from(keras.optimizers.SGD(1.0), 2.0**-4)
    )
    assert error(plain, exact[0]) > 3 * error(scaled, exact[0])


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_only_the_networks_compute_in_half_precision(precision):
    with policy(precision):
        model = tiny_model()
    seen = []
    conv = model.depth_net.conv
    call = conv.call
    conv.call = lambda x: seen.append(x.dtype) or call(x)
    batch = batch_of(1)
    predictions = model._predict(batch, training=True)
    terms = model._loss_terms(
        batch["frames"], batch["intrinsics"], predictions, None
    )
    assert seen == [tf.as_dtype(precision.removeprefix("mixed_"))]
    for tensor in (*predictions, *terms, *model.weights):
        assert tensor.dtype in (tf.float32, "float32")


def test_overflows_are_skipped_and_counted_until_the_scale_fits(exact):
    optimizer = scaled_from(keras.optimizers.SGD(1.0), 2.0**40)
    model = compiled("mixed_float16", optimizer)
    before = [v.numpy() for v in model.trainable_variables]
    steps = 0
    while optimizer.iterations.numpy() == 0:
        for a, b in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b.numpy())
        [skipped] = fit(model, batch_of())["skipped"]
        steps += 1
        assert skipped == (optimizer.iterations.numpy() == 0)
        assert steps < 40
    assert steps > 5
    assert scale_of(optimizer) == 2.0 ** (40 - (steps - 1))
    after = [v.numpy() for v in model.trainable_variables]
    moved = [a - b for a, b in zip(before, after, strict=True)]
    assert error(moved, exact[0]) < 0.02


def test_the_scale_grows_and_updates_do_not():
    """The scale that a step multiplies by is the one it divides by."""
    growing = compiled(
        "float32", scaled_from(keras.optimizers.SGD(0.1), 1.0, 1)
    )
    plain = compiled("float32", keras.optimizers.SGD(0.1))
    for model in (growing, plain):
        fit(model, batch_of(), steps=3)
    assert scale_of(growing.optimizer) == 8.0
    for a, b in zip(growing.weights, plain.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_nan_input_leaves_the_scale_alone():
    model = compiled("mixed_float16", keras.optimizers.SGD(0.1))
    batch = batch_of()
    bad = batch | {"frames": batch["frames"] * np.nan}
    scale = model.optimizer.initial_scale
    history = fit(model, bad, steps=2)
    assert history["skipped"] == history["bad_input"] == [2.0]
    assert scale_of(model.optimizer) == scale


def test_a_snapshot_holds_the_loss_scale(tmp_path):
    def fresh():
        adam = keras.optimizers.Adam(1e-3)
        model = compiled("mixed_float16", scaled_from(adam, 2.0**40, 2))
        model.optimizer.build(model.trainable_variables)
        return model

    model = fresh()
    fit(model, batch_of(), steps=3)
    resume.save(tmp_path, model, resume.TrainingState(step=3))
    other = fresh()
    resume.restore(tmp_path, other)
    assert scale_of(other.optimizer) == 2.0**37
    for trained in (model, other):
        fit(trained, batch_of(), steps=40)
    assert model.optimizer.iterations.numpy() > 5
    for a, b in zip(
        [*model.weights, *model.optimizer.variables],
        [*other.weights, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_command_line_trains_in_half_precision(tmp_path):
    data = streets.write_folder(tmp_path / "data")
    options = ["--precision", "mixed_float16", "--epochs", "1"]
    tiny_training.finish(data, tmp_path / "run", *options, "--data.drop-static")
    history = (tmp_path / "run" / "history.csv").read_text()
    header, row = history.splitlines()
    figures = dict(zip(header.split(","), row.split(","), strict=True))
    assert float(figures["skipped"]) < tiny_training.STEPS
    assert 0 < float(figures["loss"]) < 2
    # Looking for static frames reads them all: once for each table.
    log = tiny_training.log_of(tmp_path / "run").read_text()
    assert log.count("triplets move") == 2  # to train and to validate
