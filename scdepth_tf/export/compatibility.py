"""What the runtimes that people have know of.

tflite-runtime 2.14.0 (October 2023) is the last of its name and what many
boards still carry. It refuses a model at once when an op asks for a newer
version than it has registered.
"""

from __future__ import annotations

from scdepth_tf.export import graph

TFLITE_RUNTIME_2_14 = {
    "ADD": 5,
    "AVERAGE_POOL_2D": 3,
    "CAST": 5,
    "CONCATENATION": 4,
    "CONV_2D": 7,
    "DEPTHWISE_CONV_2D": 7,
    "DEQUANTIZE": 5,
    "DIV": 2,
    "ELU": 1,
    "EXPAND_DIMS": 1,
    "FLOOR": 1,
    "FULLY_CONNECTED": 10,
    "GATHER": 6,
    "GATHER_ND": 4,
    "LEAKY_RELU": 2,
    "LOGISTIC": 3,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MINIMUM": 4,
    "MIRROR_PAD": 3,
    "MUL": 7,
    "NOT_EQUAL": 3,
    "PACK": 4,
    "PAD": 4,
    "PADV2": 4,
    "QUANTIZE": 3,
    "RELU": 3,
    "RELU6": 3,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "SELECT": 4,
    "SELECT_V2": 2,
    "SHAPE": 1,
    "SPLIT": 4,
    "SQRT": 1,
    "SQUEEZE": 2,
    "STRIDED_SLICE": 8,
    "SUB": 5,
    "SUM": 2,
    "TANH": 3,
    "TILE": 3,
    "TRANSPOSE": 6,
    "UNPACK": 4,
}
"""Newest version of each builtin op that tflite-runtime 2.14.0 takes, asked of
the runtime itself: models that hold nothing but one op code, of version 1, 2,
3, ... until it said "Didn't find op for builtin opcode". It agrees with
tensorflow/lite/core/kernels/register.cc of TensorFlow 2.14. Ops that our
networks do not come to are left out."""


def too_new(model: bytes) -> dict[str, int]:
    """Ops and their versions that tflite-runtime 2.14 does not know."""
    return {
        op: version
        for op, version in graph.versions(model).items()
        if version > TFLITE_RUNTIME_2_14.get(op, 0)
    }
