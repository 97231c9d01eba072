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


def relu_initializer() -> keras.initializers.Initializer:
    """Uniform with variance 2 / fan_in: ReLUs neither damp nor amplify (He et
    al., ICCV 2015).
    """
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_in", distribution="uniform"
    )


def pose_head_initializer() -> keras.initializers.Initializer:
    """Uniform within ±1/√fan_in, PyTorch's default, hence the start of the
    pose head in both published codes: every layer damps its input, and motion
    starts near zero.
    """
    return keras.initializers.VarianceScaling(
        scale=1 / 3, mode="fan_in", distribution="uniform"
    )


def decoder_initializer() -> keras.initializers.Initializer:
    """Uniform with variance 1 / fan_in (LeCun et al., 1998).

    PyTorch's default, with which both published codes start, has a third of
    that variance and damps ten layers so much that depth can stay flat for
    hundreds of steps (docs/decisions.md).
    """
    return keras.initializers.VarianceScaling(
        scale=1.0, mode="fan_in", distribution="uniform"
    )


def logits_initializer() -> keras.initializers.Initializer:
    """Small, so that depth starts almost flat, away from the sigmoid's ends:
    on ImageNet features Keras' default gives first logits within ±20.
    """
    return keras.initializers.VarianceScaling(
        scale=0.05, mode="fan_in", distribution="uniform"
    )
