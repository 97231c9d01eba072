"""Weights files of two fifths of the size, to be passed on.

They stay what Keras reads. Weights are rounded, so that their last bytes are
zero, and HDF5 compresses them:

- large kernels to whole multiples of a power of two, at most 127 of them, for
  each output channel: about as fine as int8, where so many weights average the
  rounding out;
- small ones, which do not average and weigh little, to 12 bits;
- what is no kernel (biases, BatchNorm) not at all.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from scdepth_tf.files import replace_file

LARGE = 20_000
_STEPS = 127
_BITS = 12


def compact_weights(path: str | Path) -> None:
    """Round and compress a weights file of Keras, in place.

    Raises:
        ValueError: the file cannot be written.
    """
    with (
        replace_file(path) as unfinished,
        h5py.File(path, "r") as source,
        h5py.File(unfinished, "w") as target,
    ):

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                target.require_group(name)
            elif item.ndim < 2:
                target.create_dataset(name, data=item[()])
            else:
                target.create_dataset(
                    name,
                    data=round_kernel(item[()]),
                    compression="gzip",
                    compression_opts=9,
                    shuffle=True,
                )

        source.visititems(copy)


def round_kernel(kernel: np.ndarray) -> np.ndarray:
    """A kernel [..., output channels] with fewer different values.

    Returns:
        The same shape, float32. No weight of a large kernel is off by more
        than 1/127 of the largest of its output channel; a small kernel's by
        2⁻¹² of itself.
    """
    if kernel.size < LARGE:
        fraction, exponent = np.frexp(kernel)
        steps = np.round(fraction * 2**_BITS)
        return np.ldexp(steps, exponent - _BITS).astype(np.float32)
    inputs = tuple(range(kernel.ndim - 1))
    largest = np.abs(kernel).max(axis=inputs, keepdims=True)
    smallest = np.finfo(np.float32).tiny  # of a channel that is all zeros
    step = 2.0 ** np.ceil(np.log2(np.maximum(largest, smallest) / _STEPS))
    return (np.round(kernel / step) * step).astype(np.float32)
