"""What a .tflite flatbuffer holds: ops, tensors and convolutions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema


class Convolution(NamedTuple):
    """One (depthwise) convolution; the arrays are views into the model."""

    input: str
    """Name of the tensor it reads."""

    weights: np.ndarray
    """[C, taps] float32 or int8."""

    bias: np.ndarray
    """[C] float32 or int32."""

    bias_steps: np.ndarray
    """[C] float32, the values of one step of an int32 bias; empty for
    float32."""


def operators(model: bytes) -> Counter[str]:
    """How often each kind of op occurs; "custom NAME" for custom ones."""
    content, graph = _parse(model)
    return Counter(_kind(content, op) for op in _operators(graph))


def tensor_types(model: bytes) -> Counter[str]:
    """How many tensors that depend on the input have each type."""
    content, graph = _parse(model)
    names = _names_of(_schema().TensorType)
    return Counter(
        names[tensor.Type()] for tensor in _activations(content, graph)
    )


def activation_names(model: bytes) -> set[str]:
    """Names of the tensors that depend on the input."""
    return {tensor.Name().decode() for tensor in _activations(*_parse(model))}


def convolutions(model: bytearray) -> Iterator[Convolution]:
    """All convolutions in order; writing to their arrays changes `model`."""
    content, graph = _parse(model)
    for op in _operators(graph):
        kind = _kind(content, op)
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        image, kernel, bias = map(graph.Tensors, op.InputsAsNumpy())
        weights = _values(model, content, kernel)
        channels = bias.Shape(0)
        yield Convolution(
            input=image.Name().decode(),
            # [C, h, w, in], or [1, h, w, C] of a depthwise one.
            weights=weights.reshape(channels, -1)
            if kind == "CONV_2D"
            else weights.reshape(-1, channels).T,
            bias=_values(model, content, bias),
            bias_steps=_scales(bias),
        )


def _parse(model: bytes) -> tuple[schema.Model, schema.SubGraph]:
    content = _schema().Model.GetRootAs(model, 0)
    if content.SubgraphsLength() != 1:
        raise ValueError(
            f"expected a model of one graph, got {content.SubgraphsLength()}"
        )
    return content, content.Subgraphs(0)


def _operators(graph: schema.SubGraph) -> Iterator[schema.Operator]:
    return map(graph.Operators, range(graph.OperatorsLength()))


def _activations(
    content: schema.Model, graph: schema.SubGraph
) -> Iterator[schema.Tensor]:
    """Tensors without a stored value: the input and all that follows."""
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        buffer = content.Buffers(tensor.Buffer())
        if buffer.DataLength() == 0 and not _is_outside(buffer):
            yield tensor


def _values(
    model: bytearray, content: schema.Model, tensor: schema.Tensor
) -> np.ndarray:
    """The stored value of a tensor, flat, as a view into the model."""
    buffer = content.Buffers(tensor.Buffer())
    if _is_outside(buffer):
        data = np.frombuffer(model, np.uint8, buffer.Size(), buffer.Offset())
    else:
        data = buffer.DataAsNumpy()
    types = _schema().TensorType
    return data.view(
        {
            types.FLOAT32: np.float32,
            types.INT32: np.int32,
            types.INT8: np.int8,
        }[tensor.Type()]
    )


def _is_outside(buffer: schema.Buffer) -> bool:
    """Whether the data lies behind the flatbuffer instead of in it, as
    litert-quantizer writes large ones (offset 0 or 1: there is none).
    """
    return buffer.Offset() > 1


def _scales(tensor: schema.Tensor) -> np.ndarray:
    quantization = tensor.Quantization()
    if quantization is None or quantization.ScaleIsNone():
        return np.empty(0, np.float32)
    return quantization.ScaleAsNumpy()


def _kind(content: schema.Model, op: schema.Operator) -> str:
    code = content.OperatorCodes(op.OpcodeIndex())
    if code.CustomCode() is not None:
        return f"custom {code.CustomCode().decode()}"
    # Older writers fill only the byte-sized field.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return _names_of(_schema().BuiltinOperator)[number]


def _names_of(enumeration: type) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(enumeration).items()
        if isinstance(value, int)
    }


def _schema() -> ModuleType:
    """Imported late: reading metadata needs no runtime."""
    try:
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError as error:
        if error.name != "ai_edge_litert":  # installed, but broken
            raise
        raise ImportError(
            'exporting needs ai-edge-litert: pip install "scdepth-tf[lite]"'
        ) from error
    return schema_py_generated
