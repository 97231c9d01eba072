"""What a .tflite flatbuffer holds: ops, tensors and convolutions."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema


class Convolution(NamedTuple):
    """One (depthwise) convolution; the arrays are views into the model."""

    input: str
    """Name of the tensor it reads."""

    depthwise: bool

    kernel_size: tuple[int, int]

    strides: tuple[int, int]

    is_padded: bool
    """Whether it pads as TensorFlow's "same"."""

    weights: np.ndarray
    """[C, taps] float32 or int8; taps are rows, columns, input channels."""

    weight_steps: np.ndarray
    """[C] float32, the values of one step of an int8 weight; empty for
    float32."""

    bias: np.ndarray
    """[C] float32, int32 or (int16 activations) int64."""

    bias_steps: np.ndarray
    """[C] float32, the values of one step of an integer bias; empty for
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


def versions(model: bytes) -> dict[str, int]:
    """The newest version of each builtin op that the model asks for."""
    content, _ = _parse(model)
    names = _names_of(_schema().BuiltinOperator)
    asked: dict[str, int] = {}
    for index in range(content.OperatorCodesLength()):
        code = content.OperatorCodes(index)
        name = names[_builtin_code(code)]
        asked[name] = max(asked.get(name, 0), code.Version())
    return asked


def convolutions(model: bytearray) -> Iterator[Convolution]:
    """All convolutions in order; writing to their arrays changes `model`.

    Those with float16 weights, which their ops do not read directly, are left
    out.
    """
    content, graph = _parse(model)
    for op in _operators(graph):
        kind = _kind(content, op)
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        image, kernel, bias = map(graph.Tensors, op.InputsAsNumpy())
        if not _has_value(content, kernel):
            continue
        options = _options(op, kind)
        weights = _values(model, content, kernel)
        channels = bias.Shape(0)
        yield Convolution(
            input=image.Name().decode(),
            depthwise=kind == "DEPTHWISE_CONV_2D",
            kernel_size=tuple(kernel.ShapeAsNumpy()[1:3].tolist()),
            strides=(options.StrideH(), options.StrideW()),
            is_padded=options.Padding() == _schema().Padding.SAME,
            # [C, h, w, in], or [1, h, w, C] of a depthwise one.
            weights=weights.reshape(channels, -1)
            if kind == "CONV_2D"
            else weights.reshape(-1, channels).T,
            weight_steps=_scales(kernel),
            bias=_values(model, content, bias),
            bias_steps=_scales(bias),
        )


def names_before_convolutions(model: bytes) -> set[str]:
    """Names of the tensors that no convolution has touched yet: the input
    and what normalises it.
    """
    content, graph = _parse(model)
    after: set[int] = set()
    for op in _operators(graph):
        kind = _kind(content, op)
        reads_after = not after.isdisjoint(op.InputsAsNumpy().tolist())
        if reads_after or kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            after.update(op.OutputsAsNumpy().tolist())
    later = {graph.Tensors(index).Name().decode() for index in after}
    return activation_names(model) - later


def names_after_convolutions(model: bytes) -> set[str]:
    """Names of the tensors from the output of the last convolution on."""
    content, graph = _parse(model)
    ops = list(_operators(graph))
    last = max(
        index
        for index, op in enumerate(ops)
        if _kind(content, op) in ("CONV_2D", "DEPTHWISE_CONV_2D")
    )
    return {
        graph.Tensors(output).Name().decode()
        for op in ops[last:]
        for output in op.OutputsAsNumpy().tolist()
    }


def with_interface(model: bytes, dtype: Literal["uint8", "float32"]) -> bytes:
    """The model with QUANTIZE and DEQUANTIZE ops around it where its inputs
    and outputs are integers of another type.

    Args:
        model: .tflite of one graph and one signature.
        dtype: of the inputs and outputs from now on; float32 ones stay.
    """
    import flatbuffers

    schema = _schema()
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for buffer in content.buffers:
        if buffer.offset > 1:  # see `_is_outside`; Pack writes it inside
            buffer.data = np.frombuffer(
                model, np.uint8, buffer.size, buffer.offset
            )
            buffer.offset = buffer.size = 0
    (graph,) = content.subgraphs
    graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
    signature = content.signatureDefs[0]
    for index in list(graph.inputs):
        outer = _outer_tensor(graph, index, dtype)
        if outer is not None:
            graph.operators.insert(0, _cast(content, outer, index))
            _rewire(graph.inputs, signature.inputs, index, outer)
    for index in list(graph.outputs):
        outer = _outer_tensor(graph, index, dtype)
        if outer is not None:
            graph.operators.append(_cast(content, index, outer))
            _rewire(graph.outputs, signature.outputs, index, outer)
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _outer_tensor(
    graph: schema.SubGraphT, index: int, dtype: str
) -> int | None:
    """Index of a new tensor that means the same as another in `dtype`; None
    where it would be no other type.
    """
    types = _schema().TensorType
    inner = graph.tensors[index]
    if inner.type in (types.FLOAT32, getattr(types, dtype.upper())):
        return None
    outer = copy.deepcopy(inner)
    outer.name = _text(inner.name) + b"_outside"
    outer.type = getattr(types, dtype.upper())
    outer.buffer = 0
    if dtype == "float32":
        outer.quantization = None
    elif inner.type == types.INT8:
        outer.quantization.zeroPoint = [
            int(inner.quantization.zeroPoint[0]) + 128
        ]
    else:
        raise ValueError(
            f"a model of {_names_of(types)[inner.type]} activations cannot"
            f" have {dtype} outside; choose float32"
        )
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _cast(content: schema.ModelT, source: int, target: int) -> schema.OperatorT:
    """A QUANTIZE op, or DEQUANTIZE where the result is float32."""
    schema = _schema()
    tensors = content.subgraphs[0].tensors
    to_float = tensors[target].type == schema.TensorType.FLOAT32
    kinds = schema.BuiltinOperator
    code = schema.OperatorCodeT()
    code.builtinCode = kinds.DEQUANTIZE if to_float else kinds.QUANTIZE
    code.deprecatedBuiltinCode = code.builtinCode
    # Versions 1 know int8 and uint8; int16 came with these.
    is_int16 = schema.TensorType.INT16 in (
        tensors[source].type,
        tensors[target].type,
    )
    code.version = (3 if to_float else 2) if is_int16 else 2 if to_float else 1
    content.operatorCodes.append(code)
    op = schema.OperatorT()
    op.opcodeIndex = len(content.operatorCodes) - 1
    op.inputs, op.outputs = [source], [target]
    return op


def _rewire(
    ends: list[int], signature: list[schema.TensorMapT], old: int, new: int
) -> None:
    ends[ends.index(old)] = new
    for entry in signature:
        if entry.tensorIndex == old:
            entry.tensorIndex = new


def _text(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


def _options(
    op: schema.Operator, kind: str
) -> schema.Conv2DOptions | schema.DepthwiseConv2DOptions:
    schema = _schema()
    options = (
        schema.Conv2DOptions()
        if kind == "CONV_2D"
        else schema.DepthwiseConv2DOptions()
    )
    table = op.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


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
        if not _has_value(content, tensor):
            yield tensor


def _has_value(content: schema.Model, tensor: schema.Tensor) -> bool:
    buffer = content.Buffers(tensor.Buffer())
    return buffer.DataLength() > 0 or _is_outside(buffer)


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
            types.INT64: np.int64,
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
    return _names_of(_schema().BuiltinOperator)[_builtin_code(code)]


def _builtin_code(code: schema.OperatorCode) -> int:
    # Older writers fill only the byte-sized field.
    return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())


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
