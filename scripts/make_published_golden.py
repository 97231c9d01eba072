"""What the published networks answer, computed with PyTorch.

Writes tests/nets/golden/published.npz (depth and pose on small images, with
weights from seeds) and the small files of torch.save beside it. With a
folder, writes there instead, and whole checkpoints besides.

For maintainers, in an environment of its own:

    pip install torch==2.13.0 torchvision==0.28.0 numpy
    python -m scripts.make_published_golden [FOLDER]

torchvision is the authority on ResNets; what comes after the encoder is
written here with PyTorch's functions from the papers and the modules' names.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.nn import functional

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.nets import published_weights as weights  # noqa: E402

GOLDEN = REPOSITORY / "tests" / "nets" / "golden"
UPSAMPLING = {
    "release": {"mode": "nearest"},
    "lightning": {"mode": "bilinear", "align_corners": False},
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN
    torch.set_num_threads(2)
    write_answers(folder)
    write_small_files(folder)
    if folder != GOLDEN:
        write_checkpoints(folder)


# === Networks ===


def write_answers(folder: Path) -> None:
    answers = {}
    target, source = standardized(weights.images(2))[:, None]
    for origin in weights.ORIGINS:
        for depth in (18, 50):
            name = f"{origin}_{depth}"
            state = tensors(weights.depth_network(origin, depth))
            with torch.no_grad():
                answers[f"{name}_depth"] = depth_of(
                    state, target, origin, depth
                )[0, 0].numpy()
            state = tensors(weights.pose_network(origin, depth))
            with torch.no_grad():
                answers[f"{name}_pose"] = pose_of(state, target, source, depth)[
                    0
                ].numpy()
    np.savez_compressed(folder / "published.npz", **answers)


def depth_of(
    state: dict, images: torch.Tensor, origin: str, depth: int
) -> torch.Tensor:
    """[B, 3, H, W] standardised -> depth [B, 1, H, W]."""
    features = resnet_features(state, images, depth)
    blocks = {
        "release": [f"decoder.decoder.{i}.conv.conv" for i in range(10)],
        "lightning": [
            f"decoder.upconvs{step}.{i}.conv.conv"
            for i in range(5)
            for step in range(2)
        ],
    }[origin]
    x = features.pop()
    for first, second in zip(blocks[::2], blocks[1::2], strict=True):
        x = functional.elu(reflected(state, first, x))
        x = functional.interpolate(x, scale_factor=2, **UPSAMPLING[origin])
        if features:
            x = torch.cat([x, features.pop()], dim=1)
        x = functional.elu(reflected(state, second, x))
    head = {"release": "decoder.decoder.10.conv"}.get(
        origin, "decoder.dispconvs.0.conv"
    )
    disparity = 10 * torch.sigmoid(reflected(state, head, x)) + 0.01
    return 1 / disparity


def pose_of(
    state: dict, target: torch.Tensor, source: torch.Tensor, depth: int
) -> torch.Tensor:
    """Two of [B, 3, H, W] standardised -> pose vector [B, 6]."""
    pair = torch.cat([target, source], dim=1)
    x = resnet_features(state, pair, depth)[-1]
    names = [
        name.removesuffix(".weight")
        for name in state
        if name.startswith("decoder.") and name.endswith(".weight")
    ]
    for index, name in enumerate(names):
        kernel, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        x = functional.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)
        if index < 3:
            x = functional.relu(x)
    return 0.01 * x.mean(dim=(2, 3))


def resnet_features(
    state: dict, images: torch.Tensor, depth: int
) -> list[torch.Tensor]:
    """Features of torchvision's ResNet at strides 2, 4, 8, 16 and 32."""
    network = getattr(torchvision.models, f"resnet{depth}")()
    if images.shape[1] != 3:
        network.conv1 = torch.nn.Conv2d(
            images.shape[1], 64, 7, stride=2, padding=3, bias=False
        )
    prefix = "encoder.encoder."
    network.load_state_dict(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in state.items()
            if name.startswith(prefix)
        }
    )
    network.eval()
    features = [network.relu(network.bn1(network.conv1(images)))]
    x = network.maxpool(features[0])
    for stage in (
        network.layer1,
        network.layer2,
        network.layer3,
        network.layer4,
    ):
        x = stage(x)
        features.append(x)
    return features


def reflected(state: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])


def standardized(images: np.ndarray) -> torch.Tensor:
    """[B, H, W, 3] in [0, 1] -> [B, 3, H, W]."""
    channels_first = images.transpose(0, 3, 1, 2).copy()
    return (torch.from_numpy(channels_first) - 0.45) / 0.225


def tensors(state: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in state.items()}


# === Files ===


def write_small_files(folder: Path) -> None:
    """Every kind of thing that the reader has to understand."""
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = {
        "plain": base,
        "transposed": base.transpose(0, 2),
        "slice": base[:, 1:, 2],
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 3),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    module = torch.nn.BatchNorm2d(2)  # its state dict has metadata
    lightning = {
        "epoch": 3,
        "pytorch-lightning_version": "1.7.3",
        "state_dict": module.state_dict(),
        "hyper_parameters": {
            "hparams": argparse.Namespace(lr=1e-4, path=Path("data"))
        },
        "callbacks": {
            "ModelCheckpoint": {
                "best_model_score": torch.tensor(0.1),
                "score": np.float64(0.1),
                "array": np.arange(3),
                "kinds": {torch.float32, torch.Size([1])},
                "device": torch.device("cpu"),
            }
        },
        "optimizer_states": [
            torch.optim.Adam(module.parameters()).state_dict()
        ],
    }
    for name, new in (("zip", True), ("legacy", False)):
        for what, content in (("state", state), ("checkpoint", lightning)):
            torch.save(
                content,
                folder / f"{what}_{name}.pth",
                _use_new_zipfile_serialization=new,
            )


def write_checkpoints(folder: Path) -> None:
    """Whole files, as the published codes write them."""
    torch.save(
        {
            "epoch": 1,
            "state_dict": tensors(weights.depth_network("release", 18)),
        },
        folder / "dispnet_model_best.pth.tar",
        _use_new_zipfile_serialization=False,
    )
    torch.save(
        {
            "epoch": 1,
            "state_dict": tensors(weights.pose_network("release", 18)),
        },
        folder / "exp_pose_model_best.pth.tar",
        _use_new_zipfile_serialization=False,
    )
    torch.save(
        {
            "epoch": 99,
            "state_dict": tensors(weights.lightning_checkpoint(50)),
            "hyper_parameters": {"hparams": argparse.Namespace(lr=1e-4)},
        },
        folder / "epoch=99-val_loss=0.1411.ckpt",
    )
    classifier = tensors(weights.resnet(18))
    torch.save(classifier, folder / "resnet18-5c106cde.pth")
    encoder = {f"encoder.{name}": value for name, value in classifier.items()}
    torch.save(
        {**encoder, "height": 192, "width": 640, "use_stereo": False},
        folder / "encoder.pth",
    )


if __name__ == "__main__":
    main()
