"""Published PyTorch weights in our networks: the same answers.

The answers in golden/published.npz are PyTorch's, on the weights that
`published_weights` makes from seeds (scripts/make_published_golden.py).
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from scdepth_tf.nets import DepthNet, PoseNet, load_encoder, load_torch_weights
from scdepth_tf.nets.encoders import build_encoder
from scdepth_tf.nets.published import open_published
from tests.nets import published_weights as weights
from tests.nets import torch_writer

REPOSITORY = Path(__file__).resolve().parents[2]
UPSAMPLING = {"release": "nearest", "lightning": "bilinear"}

slow = pytest.mark.skipif(
    not os.environ.get("SCDEPTH_SLOW_TESTS"),
    reason="half a minute: set SCDEPTH_SLOW_TESTS=1",
)
NETWORKS = [
    ("release", 18),
    ("lightning", 50),
    pytest.param("release", 50, marks=slow),
    pytest.param("lightning", 18, marks=slow),
]


@pytest.fixture(scope="module")
def answers():
    golden = Path(__file__).parent / "golden" / "published.npz"
    with np.load(golden) as file:
        return dict(file)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "resnet18.pth"
    return torch_writer.save(path, weights.resnet(18))


def write_release(folder: Path, depth: int) -> tuple[Path, Path]:
    return tuple(
        torch_writer.save(
            folder / f"{name}_model_best.pth.tar",
            {"epoch": 1, "state_dict": state("release", depth)},
            legacy=True,
        )
        for name, state in (
            ("dispnet", weights.depth_network),
            ("exp_pose", weights.pose_network),
        )
    )


def write_lightning(folder: Path, depth: int) -> tuple[Path, Path]:
    state = weights.lightning_checkpoint(depth)
    content = {"epoch": 99, "state_dict": state, "hyper_parameters": Path("x")}
    path = torch_writer.save(folder / "epoch=99.ckpt", content)
    return path, path


def assert_same_answers(origin, depth, depth_path, pose_path, answers):
    depth_net = DepthNet(f"resnet{depth}", upsampling=UPSAMPLING[origin])
    pose_net = PoseNet(f"resnet{depth}")
    load_torch_weights(depth_net, depth_path)
    load_torch_weights(pose_net, pose_path)
    target, source = weights.images(2)[:, None]

    expected = answers[f"{origin}_{depth}_depth"]
    assert np.ptp(1 / expected) > 2  # of the 10 that disparity can have
    found = depth_net(target).numpy()[0, ..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    expected = answers[f"{origin}_{depth}_pose"]
    found = pose_net(np.concatenate([target, source], axis=-1)).numpy()[0]
    error = np.abs(found - expected).max()
    assert error < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(("origin", "depth"), NETWORKS)
def test_depth_and_pose_are_those_of_pytorch(origin, depth, answers, tmp_path):
    write = {"release": write_release, "lightning": write_lightning}[origin]
    assert_same_answers(origin, depth, *write(tmp_path, depth), answers)


@slow
def test_files_that_pytorch_wrote_give_its_answers(tmp_path):
    """SCDEPTH_TORCH: a Python with torch and torchvision."""
    python = os.environ.get("SCDEPTH_TORCH")
    if not python:
        pytest.skip("SCDEPTH_TORCH names no Python with torch")
    command = [python, "scripts/make_published_golden.py", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    with np.load(tmp_path / "published.npz") as file:
        answers = dict(file)
    release = (
        tmp_path / "dispnet_model_best.pth.tar",
        tmp_path / "exp_pose_model_best.pth.tar",
    )
    assert_same_answers("release", 18, *release, answers)
    lightning = tmp_path / "epoch=99-val_loss=0.1411.ckpt"
    assert_same_answers("lightning", 50, lightning, lightning, answers)
    state = weights.resnet(18)
    for name in ("resnet18-5c106cde.pth", "encoder.pth"):
        encoder = build_encoder("resnet18", 3, tmp_path / name)
        np.testing.assert_array_equal(
            encoder.get_layer("stem").kernel,
            state["conv1.weight"].transpose(2, 3, 1, 0),
        )


# === Encoders ===


def test_encoder_of_a_classifier_and_of_monodepth2_are_the_same(
    classifier, tmp_path, rng
):
    """monodepth2's has a prefix, and numbers beside the tensors."""
    state = weights.resnet(18)
    theirs = {f"encoder.{name}": array for name, array in state.items()}
    path = torch_writer.save(
        tmp_path / "encoder.pth",
        {**theirs, "height": 192, "width": 640, "use_stereo": False},
    )
    one = build_encoder("resnet18", 3, classifier)
    two = build_encoder("resnet18", 3, path)
    for ours, others in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, others)
    published = sum(
        array.size
        for name, array in state.items()
        if not name.startswith("fc") and "num_batches" not in name
    )
    assert one.count_params() == published


def test_pair_of_equal_images_is_encoded_as_one_image(classifier, rng):
    images = rng.random((1, 64, 64, 3), np.float32)
    pairs = np.concatenate([images, images], axis=-1)
    single = build_encoder("resnet18", 3, classifier)(images)
    paired = PoseNet("resnet18", encoder_weights=classifier).encoder(pairs)
    for one, two in zip(single, paired, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3)


def test_encoder_can_be_taken_out_of_a_checkpoint(tmp_path):
    path, _ = write_lightning(tmp_path, 18)
    state = weights.lightning_checkpoint(18)
    for channels, network in ((3, "depth_net"), (6, "pose_net")):
        encoder = build_encoder("resnet18", channels, path)
        kernel = state[f"{network}.encoder.encoder.conv1.weight"]
        np.testing.assert_array_equal(
            encoder.get_layer("stem").kernel, kernel.transpose(2, 3, 1, 0)
        )


# === Mistakes ===


@pytest.fixture(scope="module")
def small_resnet():
    """Tensors of a ResNet-18 without their size: names tell what it is."""
    return {name: np.zeros(1, np.float32) for name in weights.resnet(18)}


def refusal(call, *arguments) -> str:
    with pytest.raises(ValueError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_other_choices_than_the_checkpoint_has_are_refused(tmp_path):
    state = {
        name: array[:1]
        for name, array in weights.depth_network("lightning", 18).items()
        if array.ndim
    }
    path = torch_writer.save(tmp_path / "lightning.ckpt", {"state_dict": state})
    nearest = DepthNet("resnet18")
    before = nearest.get_weights()
    said = refusal(load_torch_weights, nearest, path)
    assert "('reference', 'bilinear', 10.0, 0.01)" in said
    said = refusal(load_torch_weights, DepthNet("efficientnet_lite0"), path)
    assert "is for the encoder resnet18, not for efficientnet_lite0" in said
    said = refusal(load_torch_weights, PoseNet("optical_flow"), path)
    assert "holds depth weights of sc_depth_pl; one pose network" in said
    bilinear = DepthNet("resnet18", upsampling="bilinear")
    said = refusal(load_torch_weights, bilinear, path)
    assert "conv1.weight of shape [1, 3, 7, 7], which does not fit" in said
    for now, then in zip(nearest.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_missing_and_unknown_weights_are_named(tmp_path):
    state = weights.depth_network("lightning", 18)
    state["encoder.encoder.layer1.0.se.weight"] = np.zeros(1, np.float32)
    path = torch_writer.save(tmp_path / "odd.ckpt", {"state_dict": state})
    network = DepthNet("resnet18", upsampling="bilinear")
    said = refusal(load_torch_weights, network, path)
    assert "sc_depth_pl depth weights, but has some without a place" in said
    assert "layer1.0.se.weight" in said
    del state["encoder.encoder.layer1.0.se.weight"]
    for name in [name for name in state if "dispconvs" in name]:
        del state[name]
    torch_writer.save(path, {"state_dict": state})
    said = refusal(load_torch_weights, network, path)
    assert said.endswith(
        "lacks decoder.dispconvs.0.conv.weight, decoder.dispconvs.0.conv.bias"
    )


def test_another_resnet_is_refused_by_its_blocks(small_resnet, tmp_path):
    state = {**small_resnet, "layer1.2.conv1.weight": np.zeros(1, np.float32)}
    path = torch_writer.save(tmp_path / "resnet34.pth", state)
    encoder = build_encoder("resnet18", 3)
    path_of_conv1 = {**state, "conv1.weight": np.zeros((1, 3, 1, 1), "f4")}
    torch_writer.save(path, path_of_conv1)
    assert "a ResNet of [3, 2, 2, 2] blocks" in refusal(
        load_encoder, encoder, path
    )


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("decoder.0.conv.conv.weight", "a decoder of monodepth2"),
        ("_conv_stem.weight", "an EfficientNet"),
        ("features.0.weight", "no network that is known"),
        ("decoder.decoder.0.conv.conv.weight", "without its encoder"),
    ],
)
def test_a_file_of_something_else_is_guessed(name, guess, tmp_path):
    state = {name: np.zeros(1, np.float32)}
    path = torch_writer.save(tmp_path / "file.pth", state)
    assert guess in refusal(open_published, path)


def test_the_third_network_of_v2_is_no_pose_network(small_resnet, tmp_path):
    pose = {
        **{f"encoder.encoder.{n}": a for n, a in small_resnet.items()},
        "decoder.conv_squeeze.weight": np.zeros(1, np.float32),
    }
    state = {
        f"{network}.{name}": array
        for network in ("pose_net", "rectify_net")
        for name, array in pose.items()
    }
    path = torch_writer.save(tmp_path / "v2.ckpt", {"state_dict": state})
    (found,) = open_published(path)
    assert found.layout.kind == "pose"
    assert found.is_rectified
