"""The same build gives the same bytes.

TFDS serializes `tf.train.Example` as protobuf does by default, with the
features in an order that the process's address layout decides. Protobuf can
sort them; TFDS has no switch for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from tensorflow_datasets.core import example_serializer


class SortedSerializer(example_serializer.ExampleSerializer):
    """Writes the features of an example in sorted order."""

    def serialize_example(self, example: Any) -> bytes:
        """The bytes of one encoded example."""
        return self.get_tf_example(example).SerializeToString(
            deterministic=True
        )


@contextlib.contextmanager
def sorted_features() -> Iterator[None]:
    """Inside, TFDS makes its writers with `SortedSerializer`. The writers
    take it along to the workers of a Beam pipeline.
    """
    with mock.patch.object(
        example_serializer, "ExampleSerializer", SortedSerializer
    ):
        yield
