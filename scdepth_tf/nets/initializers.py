"""How the networks start.

Functions, not constants: a Keras initializer object draws the same numbers for
every layer of equal shape that it is given to.
"""

from __future__ import annotations

import keras


def encoder_initializer() -> keras.initializers.Initializer:
    """Normal with variance 2 / fan_out (He et al., ICCV 2015), as torchvision
    starts ResNets and the TPU repository EfficientNets.
    """
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal"
    )


def head_initializer() -> keras.initializers.Initializer:
    """Uniform within ±1/√fan_in, PyTorch's default, hence the start of decoder
    and pose head in both published codes.

    Every layer damps its input, so that depth starts flat and motion near
    zero. Keras' default does not: on ImageNet features its first logits lie
    anywhere within ±10.
    """
    return keras.initializers.VarianceScaling(
        scale=1 / 3, mode="fan_in", distribution="uniform"
    )
