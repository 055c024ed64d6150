"""A batch in parts, each of which is computed on a core of its own at the same time as the others.

There are as many as TensorFlow may run operations at once, which worker.parallelism says: often one, the whole batch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from worker.backend import keras, tf


class Cut(keras.layers.Layer):
    """Cuts a tensor [batch, ...] into `count` along the batch, in order; some have no row if the batch is smaller."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def call(self, whole: Any) -> list[Any]:
        """The parts."""
        if self._count == 1:
            return [whole]
        rows = tf.shape(whole)[0]
        ends = [rows * number // self._count for number in range(self._count + 1)]
        return tf.split(whole, tf.stack([end - start for start, end in pairwise(ends)]), num=self._count)

    def compute_output_spec(self, whole: Any) -> list[Any]:
        """Any number of rows each."""
        return [keras.KerasTensor(whole.shape, whole.dtype) for _ in range(self._count)]


def join(parts: Sequence[Any]) -> Any:
    """The whole of a tensor's parts."""
    return parts[0] if len(parts) == 1 else keras.ops.concatenate(parts, axis=0)
