"""State dicts as the published PyTorch codes name them, filled from seeds.

NumPy only, and independent of the importer: the names are spelled as the
codes build their modules. `scripts/make_published_golden.py` loads them into
torchvision's ResNets, which refuse a name or shape that is wrong.
"""

import zlib

import numpy as np

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
DECODER_CHANNELS = (16, 32, 64, 128, 256)
ORIGINS = ("release", "lightning")


def resnet(depth: int, images: int = 1) -> dict[str, np.ndarray]:
    """A ResNet of torchvision, classifier included."""
    state = {
        **_conv("conv1", 64, 3 * images, 7),
        **_norm("bn1", 64),
    }
    expansion = 1 if depth == 18 else 4
    inputs = 64
    for stage, blocks in enumerate(BLOCKS[depth], start=1):
        width = 32 * 2**stage
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            sizes = (3, 3) if depth == 18 else (1, 3, 1)
            channels = inputs
            for index, size in enumerate(sizes, start=1):
                outputs = width * (expansion if index == len(sizes) else 1)
                state |= _conv(f"{name}.conv{index}", outputs, channels, size)
                state |= _norm(f"{name}.bn{index}", outputs)
                channels = outputs
            if block == 0 and (stage > 1 or depth == 50):
                state |= _conv(f"{name}.downsample.0", channels, inputs, 1)
                state |= _norm(f"{name}.downsample.1", channels)
            inputs = channels
    fc = _filled("fc.weight", (1000, inputs), 0.01)
    return {**state, "fc.weight": fc, "fc.bias": np.zeros(1000, np.float32)}


def depth_network(origin: str, depth: int) -> dict[str, np.ndarray]:
    """A depth network of "release" or "lightning"."""
    encoder = (64, 64, 128, 256, 512)
    if depth == 50:
        encoder = (64, 256, 512, 1024, 2048)
    state = _under("encoder.encoder", resnet(depth))
    channels = encoder[-1]
    for index, level in enumerate((4, 3, 2, 1, 0)):
        width = DECODER_CHANNELS[level]
        skip = encoder[level - 1] if level else 0
        first, second = {
            "release": (f"decoder.{2 * index}", f"decoder.{2 * index + 1}"),
            "lightning": (f"upconvs0.{index}", f"upconvs1.{index}"),
        }[origin]
        state |= _biased(f"decoder.{first}.conv.conv", width, channels, 3)
        state |= _biased(f"decoder.{second}.conv.conv", width, width + skip, 3)
        channels = width
    for scale, width in enumerate(DECODER_CHANNELS[:4]):
        head = {
            "release": f"decoder.{10 + scale}",
            "lightning": f"dispconvs.{scale}",
        }[origin]
        name = f"decoder.{head}.conv"
        state |= _biased(name, 1, width, 3)
        state[f"{name}.weight"] *= 0.3  # disparities over the whole range
    return state


def pose_network(origin: str, depth: int) -> dict[str, np.ndarray]:
    """A pose network of "release" or "lightning"."""
    names = {
        "release": ("net.0", "net.1", "net.2", "net.3"),
        "lightning": (
            "conv_squeeze",
            "convs_pose.0",
            "convs_pose.1",
            "convs_pose.2",
        ),
    }[origin]
    state = _under("encoder.encoder", resnet(depth, images=2))
    channels = 512 if depth == 18 else 2048
    layers = zip(names, (256, 256, 256, 6), (1, 3, 3, 1), strict=True)
    for name, width, size in layers:
        state |= _biased(f"decoder.{name}", width, channels, size)
        channels = width
    return state


def lightning_checkpoint(depth: int) -> dict[str, np.ndarray]:
    """Both networks in the state dict of a Lightning module."""
    return {
        **_under("depth_net", depth_network("lightning", depth)),
        **_under("pose_net", pose_network("lightning", depth)),
    }


def images(count: int) -> np.ndarray:
    """[B, 64, 96, 3] float32 in [0, 1], smooth enough to look like images."""
    coarse = np.random.default_rng(1).random((count, 8, 12, 3))
    fine = coarse.repeat(8, axis=1).repeat(8, axis=2)
    noise = np.random.default_rng(2).random(fine.shape)
    return (0.8 * fine + 0.2 * noise).astype(np.float32)


def _under(prefix: str, state: dict) -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": value for name, value in state.items()}


def _conv(name: str, outputs: int, inputs: int, size: int) -> dict:
    shape = (outputs, inputs, size, size)
    spread = (2 / (inputs * size * size)) ** 0.5
    return {f"{name}.weight": _filled(f"{name}.weight", shape, spread)}


def _biased(name: str, outputs: int, inputs: int, size: int) -> dict:
    return {
        **_conv(name, outputs, inputs, size),
        f"{name}.bias": _filled(f"{name}.bias", (outputs,), 0.2),
    }


def _norm(name: str, channels: int) -> dict:
    # Far from 1 and 0, so that eps and swapped statistics show.
    return {
        f"{name}.weight": 0.6 + _filled(f"{name}.weight", (channels,), 0.1),
        f"{name}.bias": _filled(f"{name}.bias", (channels,), 0.1),
        f"{name}.running_mean": _filled(f"{name}.mean", (channels,), 0.1),
        f"{name}.running_var": (
            0.2 + np.abs(_filled(f"{name}.variance", (channels,), 0.8))
        ),
        f"{name}.num_batches_tracked": np.array(7, np.int64),
    }


def _filled(name: str, shape: tuple[int, ...], spread: float) -> np.ndarray:
    """Normal numbers that depend on nothing but name and shape."""
    seed = zlib.crc32(f"{name} {shape}".encode())
    numbers = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return numbers * np.float32(spread)
