"""Encoders: sizes, padding, initial values."""

import keras
import numpy as np
import pytest

from scdepth_tf.nets.encoders import ENCODERS, build_encoder

FEATURE_CHANNELS = {
    "resnet18": (64, 64, 128, 256, 512),
    "resnet50": (64, 256, 512, 1024, 2048),
    "efficientnet_lite0": (16, 24, 40, 112, 320),
}
# torchvision's counts without the classifier (11 689 512 and 25 557 032 with
# it) plus a running mean and variance for each normalised channel.
PARAMETERS = {"resnet18": 11_186_112, "resnet50": 23_561_152}


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request):
    return build_encoder(request.param, 3)


def test_features_have_the_published_strides_and_channels(encoder):
    shapes = [feature.shape for feature in encoder(np.zeros((1, 64, 96, 3)))]
    channels = FEATURE_CHANNELS[encoder.name]
    assert shapes == [
        (1, 64 // stride, 96 // stride, width)
        for stride, width in zip((2, 4, 8, 16, 32), channels, strict=True)
    ]


@pytest.mark.parametrize("name", PARAMETERS)
def test_resnets_have_the_published_number_of_parameters(name):
    assert build_encoder(name, 3).count_params() == PARAMETERS[name]


def test_residual_branches_of_equal_shape_start_differently(encoder):
    kernels = [
        w.numpy() for w in encoder.trainable_weights if len(w.shape) == 4
    ]
    fingerprints = {kernel.tobytes() for kernel in kernels}
    assert len(fingerprints) == len(kernels)


def test_seed_decides_the_initial_weights():
    def kernels(seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        weights = build_encoder("efficientnet_lite0", 3).get_weights()
        return [weight for weight in weights if weight.ndim == 4]

    first, again, other = kernels(1), kernels(1), kernels(2)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 0


@pytest.mark.parametrize(
    ("layer", "radius"),
    [("stem", 3), ("stage2_block0_conv1", 1), ("stage2_block0_shortcut", 0)],
)
def test_strided_resnet_convolutions_are_centred(layer, radius, rng):
    """Output (i, j) looks at the input around (2i, 2j), with zeros outside:
    TensorFlow's "same" would look around (2i + 1, 2j + 1)."""
    encoder = build_encoder("resnet18", 3)
    convolution = encoder.get_layer(layer)
    if layer == "stem":
        before = encoder.layers[1].output
    else:
        before = encoder.outputs[1]
    probe = keras.Model(encoder.input, [before, convolution.output])
    x, y = probe(rng.random((1, 64, 64, 3), np.float32))
    x = np.pad(x[0], [(radius, radius), (radius, radius), (0, 0)])
    kernel = convolution.kernel.numpy()
    for i, j in [(0, 0), (3, 2), (y.shape[1] - 1, y.shape[2] - 1)]:
        rows = slice(2 * i, 2 * i + 2 * radius + 1)
        columns = slice(2 * j, 2 * j + 2 * radius + 1)
        expected = np.tensordot(x[rows, columns], kernel, 3)
        np.testing.assert_allclose(y[0, i, j], expected, atol=1e-4)


def test_equal_images_of_a_pair_are_standardised_alike(rng):
    image = rng.random((1, 32, 32, 3), np.float32)
    encoder = build_encoder("resnet18", 6)
    standardize = encoder.layers[1]
    pair = standardize(np.concatenate([image, image], -1))
    np.testing.assert_array_equal(pair[..., :3], pair[..., 3:])
    np.testing.assert_allclose(pair[..., :3], (image - 0.45) / 0.225, atol=1e-6)


def test_unknown_encoder_lists_the_choices():
    with pytest.raises(ValueError, match="resnet34") as error:
        build_encoder("resnet34", 3)
    assert all(name in str(error.value) for name in ENCODERS)
