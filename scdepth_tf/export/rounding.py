"""Weights rounded so that a convolution's output changes least.

Each to its nearest step is not best: what a layer reads is correlated (the
nine taps of a kernel see nearly the same), so that one weight's rounding
error can be made up for by the next ones. `round_weights` quantizes the
weights of a channel one after the other and lets those to come, and at last
the bias, absorb the error as the calibration frames weight it (optimal brain
quantization: Frantar and Alistarh, NeurIPS 2022, in the fixed order of GPTQ,
Frantar et al., ICLR 2023). On the demo's network this takes the AbsRel that
int8 costs from 1.8 % to 0.1 % (docs/decisions.md).
"""

from __future__ import annotations

import numpy as np

from scdepth_tf.export.graph import Convolution

POSITIONS = 64
"""Output positions of each frame that a convolution is observed at."""

MAX_TAPS = 5000
"""Wider convolutions (ResNet-50's last) are rounded to the nearest: their
moments would take gigabytes and minutes."""

_DAMPING = 0.01
"""Of the mean moment: what the frames did not show can still happen."""

_BLOCK = 128

_WAITING = 1024
"""Positions gathered before they are multiplied: twelve at a time, as one
frame has in a network's last layers, cost nearly as much as a thousand."""


class Moments:
    """Second moments of what one convolution reads.

    The sum over positions of x·xᵀ, where x are the inputs of all taps and,
    last, a 1 for the bias: [taps + 1, taps + 1], for a depthwise convolution
    [channels, taps + 1, taps + 1].
    """

    def __init__(self, convolution: Convolution) -> None:
        self._convolution = convolution
        self._rng = np.random.default_rng(0)
        taps = convolution.weights.shape[1]
        self._waiting: list[np.ndarray] = []
        self._sum: np.ndarray | None = None
        if taps <= MAX_TAPS:
            channels = [len(convolution.weights)] * convolution.depthwise
            self._sum = np.zeros([*channels, taps + 1, taps + 1], np.float32)

    def add(self, features: np.ndarray) -> None:
        """Adds some positions of one frame, [1, H, W, C] float32."""
        if self._sum is None:
            return
        patches = self._patches(features)
        if self._convolution.depthwise:
            taps = patches.transpose(2, 0, 1)
        else:
            taps = patches.reshape(len(patches), -1)
        ones = np.ones((*taps.shape[:-1], 1), np.float32)
        self._waiting.append(np.concatenate([taps, ones], axis=-1))
        if sum(x.shape[-2] for x in self._waiting) >= _WAITING:
            self._multiply()

    @property
    def values(self) -> np.ndarray | None:
        """The moments; None of a convolution that is too wide."""
        self._multiply()
        return self._sum

    def _multiply(self) -> None:
        if self._waiting:
            x = np.concatenate(self._waiting, axis=-2)
            self._waiting.clear()
            self._sum += x.swapaxes(-1, -2) @ x

    def _patches(self, features: np.ndarray) -> np.ndarray:
        """[positions, kernel taps, C] at random positions of the output."""
        kernel = np.array(self._convolution.kernel_size)
        strides = np.array(self._convolution.strides)
        size = np.array(features.shape[1:3])
        if self._convolution.is_padded:
            outputs = -(-size // strides)
            missing = np.maximum((outputs - 1) * strides + kernel - size, 0)
            sides = [[side // 2, side - side // 2] for side in missing]
            features = np.pad(features, [[0, 0], *sides, [0, 0]])
        else:
            outputs = (size - kernel) // strides + 1
        total = outputs.prod()
        chosen = self._rng.choice(total, min(POSITIONS, total), replace=False)
        rows, columns = np.unravel_index(chosen, outputs)
        y = rows[:, None, None] * strides[0] + np.arange(kernel[0])[:, None]
        x = columns[:, None, None] * strides[1] + np.arange(kernel[1])
        return features[0, y, x].reshape(len(chosen), kernel.prod(), -1)


def round_weights(
    convolution: Convolution, quantized: Convolution, moments: Moments
) -> None:
    """Replaces the weights and biases of a quantized convolution, in place.

    Args:
        convolution: the float one.
        quantized: the same with int8 weights; keeps its steps.
        moments: of the float one's input.
    """
    values = moments.values
    if values is None:
        return
    depthwise, taps = convolution.depthwise, convolution.weights.shape[1]
    weights = np.column_stack([convolution.weights, convolution.bias])
    weights = weights.astype(np.float64)
    steps = np.broadcast_to(quantized.weight_steps, len(weights)).astype(float)
    feedback = _feedback(values)
    # Blocks, for wide convolutions: a product of matrices for what is far
    # right of them is faster than one update a tap.
    block = taps if depthwise else _BLOCK
    for start in range(0, taps, block):
        stop = min(start + block, taps)
        near = taps + 1 if depthwise else stop
        errors = np.empty((len(weights), stop - start))
        for tap in range(start, stop):
            code = np.clip(np.rint(weights[:, tap] / steps), -127, 127)
            error = weights[:, tap] - code * steps
            error /= feedback[..., tap, tap]
            weights[:, tap + 1 : near] -= (
                error[:, np.newaxis] * feedback[..., tap, tap + 1 : near]
            )
            errors[:, tap - start] = error
            quantized.weights[:, tap] = code
        if not depthwise:
            weights[:, stop:] -= errors @ feedback[start:stop, stop:]
    bias = np.rint(weights[:, -1] / quantized.bias_steps)
    limit = np.iinfo(quantized.bias.dtype).max // 2
    quantized.bias[:] = np.clip(bias, -limit, limit)


def _feedback(moments: np.ndarray) -> np.ndarray:
    """Upper triangular U with U.T @ U the inverse of the damped moments:
    after weight i is off by e, weight j > i becomes w_j − e·U_ij / U_ii.
    """
    moments = moments.astype(np.float64)
    diagonal = np.einsum("...ii->...i", moments)  # a view
    seen = diagonal[..., :-1].mean(axis=-1, keepdims=True)
    # A channel that is always zero has no moments but those of its bias.
    diagonal += _DAMPING * seen + 1e-6 * diagonal[..., -1:]
    if moments.ndim == 3:
        return np.stack([_inverse_factor(channel) for channel in moments])
    return _inverse_factor(moments)


def _inverse_factor(moments: np.ndarray) -> np.ndarray:
    """The Cholesky factor of the inverse without the inverse: turned around,
    a lower factor is an upper one, and the inverse of V·V.T is U.T·U with
    U = V⁻¹.
    """
    from scipy.linalg import lapack  # comes with litert-quantizer

    lower = np.linalg.cholesky(moments[::-1, ::-1])
    inverse, _ = lapack.dtrtri(lower, lower=1)
    return inverse[::-1, ::-1]
