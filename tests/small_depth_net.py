"""A depth network of two convolutions, and frames with structure.

For tests of what surrounds a network: it converts in a second.
"""

from collections.abc import Iterator

import keras
import numpy as np

from scdepth_tf.nets.layers import Standardize, Upsample


class SmallDepthNet:
    """What export asks of a `DepthNet`."""

    alpha = 10.0
    beta = 0.01

    def __init__(self, middle: keras.layers.Layer | None = None) -> None:
        keras.utils.set_random_seed(0)
        images = keras.Input((None, None, 3), name="image")
        x = Standardize(mean=0.45, scale=1 / 0.225)(images)
        x = keras.layers.Conv2D(
            8, 3, strides=2, padding="same", activation="relu", name="hidden"
        )(x)
        if middle is not None:
            x = middle(x)
        x = Upsample("bilinear")(x)
        x = keras.layers.Conv2D(
            1, 3, padding="same", dtype="float32", name="logits"
        )(x)
        self.network = keras.Model(images, x)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        logits = np.asarray(self.network(images))
        return 1 / (self.alpha / (1 + np.exp(-logits)) + self.beta)

    def get_config(self) -> dict[str, str]:
        return {
            "encoder": "small",
            "decoder": "small",
            "upsampling": "bilinear",
        }


def spread_logits(network: keras.Model, images: np.ndarray) -> None:
    """Rescales the last convolution so that depth spans 0.2 to 60.

    Fresh weights give one depth everywhere, which hides every error.
    """
    logits = np.asarray(network(images))
    head = network.get_layer("logits")
    kernel, bias = head.get_weights()
    gain = 1.2 / logits.std()
    head.set_weights([kernel * gain, (bias - logits.mean()) * gain - 3.5])


def frames(
    count: int, image_size: tuple[int, int], seed: int = 0
) -> Iterator[np.ndarray]:
    """uint8 [H, W, 3]: blocks of colour under a gradient of light."""
    rng = np.random.default_rng(seed)
    height, width = image_size
    for _ in range(count):
        image = np.linspace(0.2, 1, height)[:, None, None] * rng.uniform(
            0.3, 1, 3
        )
        image = np.tile(image, (1, width, 1))
        for _ in range(12):
            top, left = rng.integers(0, height), rng.integers(0, width)
            block = np.s_[top : top + height // 4, left : left + width // 5]
            image[block] = rng.uniform(0, 1, 3)
        image += rng.normal(0, 0.02, image.shape)
        yield (image.clip(0, 1) * 255).round().astype(np.uint8)
