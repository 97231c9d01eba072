"""Weights of published PyTorch codes, put into our networks.

Names and shapes are those of torchvision (ResNets), SC-SfMLearner-Release,
sc_depth_pl and monodepth2 (encoder). What the codes do around the weights is
a property of our networks: `DepthNet(upsampling=…)` and the input's
standardisation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from scdepth_tf import stack
from scdepth_tf.nets.torch_files import read_torch_file

if TYPE_CHECKING:
    from scdepth_tf.nets import DepthNet, PoseNet

State = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a published code keeps the weights of one network."""

    origin: str
    """The code."""
    kind: str
    """"depth", "pose" or "encoder"."""
    encoder: str
    """Prefix of the ResNet's names."""
    head: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Our layers after the encoder -> their names."""
    unused: str = ""
    """Prefix of names whose tensors the published code does not use either."""
    upsampling: str = ""
    """Of the depth decoder."""


def _decoder(place: Callable[[int, str], str], logits: str) -> dict[str, str]:
    """Names of the decoder; both codes count from the smallest features."""
    return {
        **{
            f"level{4 - index}_{step}": place(index, step)
            for index in range(5)
            for step in ("reduce", "merge")
        },
        "logits": logits,
    }


RELEASE = "SC-SfMLearner-Release"
LIGHTNING = "sc_depth_pl"

RECTIFIER = "rectify_net."
"""Prefix of SC-Depth V2's third network, which is named like a pose network
and turns images before the pose network sees them."""

LAYOUTS = (
    Layout(
        RELEASE,
        "depth",
        "encoder.encoder.",
        _decoder(
            lambda index, step: (
                f"decoder.decoder.{2 * index + (step == 'merge')}.conv.conv"
            ),
            "decoder.decoder.10.conv",
        ),
        unused="decoder.decoder.1",  # 11 to 13: heads of smaller sizes
        upsampling="nearest",
    ),
    Layout(
        RELEASE,
        "pose",
        "encoder.encoder.",
        {
            "squeeze": "decoder.net.0",
            "conv1": "decoder.net.1",
            "conv2": "decoder.net.2",
            "motion": "decoder.net.3",
        },
    ),
    Layout(
        LIGHTNING,
        "depth",
        "encoder.encoder.",
        _decoder(
            lambda index, step: (
                f"decoder.upconvs{int(step == 'merge')}.{index}.conv.conv"
            ),
            "decoder.dispconvs.0.conv",
        ),
        unused="decoder.dispconvs.",
        upsampling="bilinear",
    ),
    Layout(
        LIGHTNING,
        "pose",
        "encoder.encoder.",
        {
            "squeeze": "decoder.conv_squeeze",
            "conv1": "decoder.convs_pose.0",
            "conv2": "decoder.convs_pose.1",
            "motion": "decoder.convs_pose.2",
        },
    ),
)
_ENCODER = Layout("torchvision", "encoder", "")
_BLOCKS = {
    ("conv2", 2, 2, 2, 2): "resnet18",
    ("conv3", 3, 4, 6, 3): "resnet50",
}


@dataclasses.dataclass(frozen=True)
class Published:
    """One network in a checkpoint."""

    path: Path
    layout: Layout
    state: State
    """Names as the layout has them, without the checkpoint's own prefix."""
    is_rectified: bool = False
    """Whether SC-Depth V2's third network is beside it."""

    @property
    def encoder(self) -> str:
        """Name of the encoder, "resnet18" or "resnet50".

        Raises:
            ValueError: it is another ResNet.
        """
        state = self.encoder_state
        blocks = [
            len(
                {name.split(".")[1] for name in state if name.startswith(stage)}
            )
            for stage in ("layer1.", "layer2.", "layer3.", "layer4.")
        ]
        bottleneck = "layer1.0.conv3.weight" in state
        key = ("conv3" if bottleneck else "conv2", *blocks)
        if key not in _BLOCKS:
            raise ValueError(
                f"{self.path} holds a ResNet of {blocks} blocks; of the ResNets"
                " there are 18 ([2, 2, 2, 2]) and 50 ([3, 4, 6, 3]) here"
            )
        return _BLOCKS[key]

    @property
    def encoder_state(self) -> dict[str, np.ndarray]:
        """The ResNet alone, with torchvision's names."""
        prefix = self.layout.encoder
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.state.items()
            if name.startswith(prefix)
        }

    @property
    def channels(self) -> int:
        """3 for an encoder of images, 6 for one of pairs."""
        return self.state[f"{self.layout.encoder}conv1.weight"].shape[1]


def open_published(path: str | Path) -> list[Published]:
    """The networks in a checkpoint.

    Args:
        path: a file of torch.save.

    Returns:
        One or two: a depth network, a pose network, or an encoder alone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or holds none that is known.
    """
    path = Path(path)
    state = read_torch_file(path)
    found = []
    for layout in LAYOUTS:
        marker = f"{next(iter(layout.head.values()))}.weight"
        found += _under_prefixes(path, layout, marker, state)
    if not found:
        found = _under_prefixes(path, _ENCODER, "layer1.0.conv1.weight", state)
    for network in found:
        if f"{network.layout.encoder}conv1.weight" not in network.state:
            raise ValueError(
                f"{path} has a {network.layout.kind} network of"
                f" {network.layout.origin} without its encoder"
            )
    if not found:
        raise ValueError(f"{path} holds {_guess(state)}")
    return found


def _under_prefixes(
    path: Path, layout: Layout, marker: str, state: State
) -> list[Published]:
    """Networks of a layout; Lightning puts a prefix before their names."""
    prefixes = [
        name.removesuffix(marker)
        for name in state
        if name == marker or name.endswith(f".{marker}")
        if name.removesuffix(marker) != RECTIFIER
    ]
    return [
        Published(
            path,
            layout,
            {
                name.removeprefix(prefix): tensor
                for name, tensor in state.items()
                if name.startswith(prefix)
            },
            is_rectified=any(name.startswith(RECTIFIER) for name in state),
        )
        for prefix in prefixes
    ]


def _guess(state: State) -> str:
    if "decoder.0.conv.conv.weight" in state or "net.0.weight" in state:
        return (
            "a decoder of monodepth2, whose head differs; only its encoder.pth"
            " can be used, as encoder weights"
        )
    if "_conv_stem.weight" in state:
        return (
            'an EfficientNet; its weights come with encoder_weights="imagenet"'
        )
    return (
        "no network that is known (a ResNet of torchvision, depth and pose of"
        f" {RELEASE} or {LIGHTNING}, a monodepth2 encoder), but"
        f" {_first(state)}"
    )


def load_torch_weights(network: DepthNet | PoseNet, path: str | Path) -> None:
    """Replaces a network's weights by those of a published checkpoint.

    The outputs are then those of the published code in evaluation mode
    (tests/nets/test_published.py: to 1e-4).

    Args:
        network: `DepthNet` with the reference decoder and the upsampling of
            the code ("nearest" for SC-SfMLearner-Release, "bilinear" for
            sc_depth_pl), or `PoseNet`; its encoder that of the checkpoint.
        path: checkpoint of SC-SfMLearner-Release or sc_depth_pl.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, holds another kind of network,
            or one that was made for other choices.
    """
    kind = "pose" if network.encoder.input_shape[-1] == 6 else "depth"
    found = open_published(path)
    fitting = [item for item in found if item.layout.kind == kind]
    if len(fitting) != 1:
        kinds = " and ".join(item.layout.kind for item in found)
        raise ValueError(
            f"{path} holds {kinds} weights of {found[0].layout.origin};"
            f" one {kind} network was expected"
        )
    fill(network, fitting[0])


def fill(network: DepthNet | PoseNet, published: Published) -> None:
    """Replaces a network's weights by published ones of the same kind.

    Raises:
        ValueError: the network is built otherwise.
    """
    layout = published.layout
    _check_encoder(network.encoder, published)
    if layout.kind == "depth":
        theirs = ("reference", layout.upsampling, 10.0, 0.01)
        ours = (
            network.decoder_name,
            network.upsampling,
            network.alpha,
            network.beta,
        )
        if ours != theirs:
            raise ValueError(
                f"{published.path} is for decoder, upsampling, alpha, beta ="
                f" {theirs}, the network has {ours}"
            )
    layers = [*network.encoder.layers, *network.network.layers]

    def name(layer: str) -> str:
        return layout.head.get(layer) or layout.encoder + resnet_name(layer)

    _check_nothing_left(published, [name(x.name) for x in _weighted(layers)])
    put_weights(layers, published.state, name, published.path)


def load_encoder(encoder: keras.Model, path: str | Path) -> None:
    """Replaces the weights of a ResNet by those of a PyTorch file, in place.

    Args:
        encoder: `resnet18` or `resnet50`.
        path: an ImageNet classifier of torchvision, encoder.pth of
            monodepth2, or a checkpoint of which the encoder is to be taken;
            where it has two, the one with the encoder's number of channels.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read or has no such encoder.
    """
    found = open_published(path)
    channels = encoder.input_shape[-1]
    same = [item for item in found if item.channels == channels]
    whole = (same or found)[0]
    published = Published(whole.path, _ENCODER, whole.encoder_state)
    _check_encoder(encoder, published)
    layers = _weighted(encoder.layers)
    _check_nothing_left(published, [resnet_name(x.name) for x in layers])
    put_weights(layers, published.state, resnet_name, published.path)


def _check_encoder(encoder: keras.Model, published: Published) -> None:
    if encoder.name != published.encoder:
        raise ValueError(
            f"{published.path} is for the encoder {published.encoder}, not"
            f" for {encoder.name}"
        )


def _check_nothing_left(published: Published, used: Iterable[str]) -> None:
    """Refuses weights that have no place: they would be lost in silence."""
    layout = published.layout
    used = set(used)
    left = [
        name
        for name in published.state
        if name.rpartition(".")[0] not in used
        and not name.startswith(f"{layout.encoder}fc.")
        and not (layout.unused and name.startswith(layout.unused))
    ]
    if left:
        raise ValueError(
            f"{published.path} seems to hold {layout.origin} {layout.kind}"
            f" weights, but has some without a place in ours: {_first(left)}"
        )


# === Layers ===


def put_weights(
    layers: Sequence[keras.layers.Layer],
    state: State,
    name: Callable[[str], str],
    path: Path,
) -> None:
    """Replaces the weights of layers, all of them or none.

    An encoder of image pairs (6 channels) that finds the kernel of an encoder
    of images gets it twice, halved, so that a pair of equal images is encoded
    as one image would be (both published SC-Depth codes), and noise that is
    added to one half and taken off the other. Without it the network cannot
    tell a pair from the swapped pair and needs hundreds of steps to learn
    that motion has a direction (docs/decisions.md).

    Args:
        layers: those without weights are passed over.
        state: tensors in PyTorch's order of axes.
        name: our name of a layer -> its name in `state`.
        path: where `state` is from, for messages.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    layers = _weighted(layers)
    names = {
        stack.path(weight): f"{name(layer.name)}.{theirs}"
        for layer in layers
        for weight, theirs in zip(layer.weights, _parts(layer), strict=True)
    }
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing:
        raise ValueError(f"{path} lacks {_first(missing)}")
    values = []
    for layer in layers:
        for weight in layer.weights:
            ours = stack.path(weight)
            theirs = state[names[ours]]
            values.append(_in_our_order(layer, theirs))
            if values[-1].shape != tuple(weight.shape):
                raise ValueError(
                    f"{path} has {names[ours]} of shape"
                    f" {list(theirs.shape)}, which does not fit {ours}"
                    f" {list(weight.shape)}"
                )
    weights = [weight for layer in layers for weight in layer.weights]
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)


def _weighted(
    layers: Sequence[keras.layers.Layer],
) -> list[keras.layers.Layer]:
    return [
        layer
        for layer in layers
        if layer.weights and not isinstance(layer, keras.Model)
    ]


def _parts(layer: keras.layers.Layer) -> tuple[str, ...]:
    """PyTorch's names of a layer's weights, in Keras' order."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return ("weight", "bias", "running_mean", "running_var")
    return ("weight", "bias") if layer.use_bias else ("weight",)


def _in_our_order(layer: keras.layers.Layer, tensor: np.ndarray) -> np.ndarray:
    if tensor.ndim != 4:
        return tensor
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return tensor.transpose(2, 3, 0, 1)
    kernel = tensor.transpose(2, 3, 1, 0)  # from [out, in, height, width]
    if layer.kernel.shape[2] == 6 and kernel.shape[2] == 3:
        return _pair_kernel(kernel)
    return kernel


def _pair_kernel(kernel: np.ndarray) -> np.ndarray:
    """[h, w, 3, out] for one image to [h, w, 6, out] for two."""
    half = kernel / 2.0
    noise = keras.initializers.RandomNormal(stddev=float(half.std()))
    direction = np.asarray(noise(half.shape))
    return np.concatenate([half + direction, half - direction], axis=2)


def resnet_name(layer: str) -> str:
    """Name of our layer in a ResNet of torchvision: stage2_block1_conv1_norm
    is layer2.1.bn1 there.
    """
    if layer in ("stem", "stem_norm"):
        return "bn1" if layer.endswith("norm") else "conv1"
    stage, block, kind, *norm = layer.split("_")
    if kind == "shortcut":
        part = f"downsample.{len(norm)}"
    else:
        part = kind.replace("conv", "bn") if norm else kind
    return (
        f"layer{stage.removeprefix('stage')}.{block.removeprefix('block')}"
        f".{part}"
    )


def _first(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:4]) + (
        f" and {len(names) - 4} more" if len(names) > 4 else ""
    )
