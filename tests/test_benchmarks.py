"""The benchmarks' own machinery, as far as it needs no PyTorch."""

import keras
import numpy as np
import pytest

from benchmarks.torch_weights import read_torch_weights, write_torch_weights
from scdepth_tf.config import ModelConfig
from scdepth_tf.model import SCDepth

NETWORKS = {
    "resnet18": ModelConfig(),
    "lite0": ModelConfig(
        depth_encoder="efficientnet_lite0",
        decoder="mobile",
        pose_encoder="efficientnet_lite0",
    ),
}


@pytest.mark.parametrize("networks", NETWORKS)
def test_weights_come_back_from_pytorch_as_they_went(networks, tmp_path):
    keras.utils.set_random_seed(1)
    sent = SCDepth.from_choices(NETWORKS[networks])
    received = SCDepth.from_choices(NETWORKS[networks])
    path = tmp_path / "weights.npz"
    write_torch_weights(sent, path)
    read_torch_weights(received, path)
    for theirs, ours in zip(sent.weights, received.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_an_asymmetric_kernel_has_pytorch_s_order_of_axes(tmp_path):
    """A round trip alone would not see both ways wrong."""
    model = SCDepth.from_choices(NETWORKS["resnet18"])
    path = tmp_path / "weights.npz"
    write_torch_weights(model, path)
    kernel = model.pose_net.encoder.get_layer("stem").kernel.numpy()
    with np.load(path) as arrays:
        theirs = arrays["pose_net/encoder.conv1.weight"]
    assert theirs.shape == (64, 6, 7, 7)
    assert theirs[5, 4, 1, 3] == kernel[1, 3, 4, 5]


def test_weights_of_other_networks_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    write_torch_weights(SCDepth.from_choices(NETWORKS["lite0"]), path)
    with pytest.raises(ValueError, match="lacks"):
        read_torch_weights(SCDepth.from_choices(NETWORKS["resnet18"]), path)
