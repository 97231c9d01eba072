"""Serves a SavedModel over HTTP where TensorFlow Serving is not at hand.

    pip install kserve tensorflow-cpu
    python kserve_server.py models/depth/1 --model_name depth --http_port 8501

KServe's V1 protocol is TensorFlow Serving's REST API; this file does the one
thing that TensorFlow Serving does itself: rows of JSON to tensors and back.
"""

from __future__ import annotations

import argparse
import base64
import binascii
from typing import Any

import kserve
import numpy as np
import tensorflow as tf
from kserve.errors import InvalidInput


class SavedModel(kserve.Model):
    """Any signature of a SavedModel, by name."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name)
        self._loaded = tf.saved_model.load(folder)
        self.ready = True

    def predict(self, payload: dict, *_: Any) -> dict[str, list]:
        if not isinstance(payload, dict):
            raise InvalidInput("expected JSON, Content-Type: application/json")
        name = payload.get("signature_name", "serving_default")
        try:
            signature = self._loaded.signatures[name]
            specs = signature.structured_input_signature[1]
            answer = signature(**_columns(payload["instances"], specs))
        except KeyError as error:
            raise InvalidInput(f"no signature or input {error}") from error
        except tf.errors.OpError as error:
            raise InvalidInput(_reason(error)) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput(str(error)) from error
        return {"predictions": _rows(answer)}


def _reason(error: tf.errors.OpError) -> str:
    """Its sentence, without the places in a graph that nobody has seen."""
    told = error.message.rpartition("<stack traces unavailable>")[-1]
    return told.partition("[[")[0].strip()


def _columns(
    instances: list[Any], specs: dict[str, tf.TensorSpec]
) -> dict[str, tf.Tensor]:
    """[{input: value}, …], or [value, …] of one input, to a tensor each."""
    if len(specs) == 1 and not _is_row(instances[:1], specs):
        (name,) = specs
        instances = [{name: value} for value in instances]
    columns = {}
    for name, spec in specs.items():
        values = [_bytes_or_number(row[name]) for row in instances]
        shape = [0, *([1] * (spec.shape.rank - 1))] if not values else None
        columns[name] = tf.constant(_in_range(values, spec), spec.dtype, shape)
    return columns


def _in_range(values: list[Any], spec: tf.TensorSpec) -> list[Any]:
    """Refuses integers that TensorFlow would wrap."""
    numbers = np.asarray(values)
    if spec.dtype.is_integer and numbers.dtype.kind == "i" and numbers.size:
        if numbers.min() < spec.dtype.min or numbers.max() > spec.dtype.max:
            raise ValueError(
                f"expected {spec.name} from {spec.dtype.min} to"
                f" {spec.dtype.max}, got {numbers.min()} to {numbers.max()}"
            )
    return values


def _is_row(first: list[Any], specs: dict[str, tf.TensorSpec]) -> bool:
    return (
        bool(first)
        and isinstance(first[0], dict)
        and specs.keys() == first[0].keys()
    )


def _bytes_or_number(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError) as error:
            raise ValueError(f"b64 cannot be decoded: {error}") from error
    return value


def _rows(answer: dict[str, tf.Tensor]) -> list[Any]:
    columns = {name: _as_json(value.numpy()) for name, value in answer.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _as_json(values: np.ndarray) -> list[Any]:
    if values.dtype == object:
        return [value.decode() for value in values]
    return values.tolist()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("folder", help="the SavedModel")
    arguments = parser.parse_args()
    kserve.ModelServer().start(
        [SavedModel(arguments.model_name, arguments.folder)]
    )
