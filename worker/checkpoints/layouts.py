"""How one stored tensor and one Keras variable hold the same numbers in different shapes.

PyTorch keeps a dense kernel as [out, in], Keras as [in, out]; KerasHub splits the attention kernels by head.
Each layout answers both ways, so loading and saving cannot drift apart.
"""

import enum
from math import prod

import numpy as np

Shape = tuple[int, ...]


class Layout(enum.Enum):
    """The Keras shape on the left, the stored shape on the right."""

    SAME = "[...] = [...]"
    DENSE = "[in, out] = [out, in]"
    SPLIT_HEADS = "[in, heads, size] = [heads * size, in]"
    SPLIT_HEADS_BIAS = "[heads, size] = [heads * size]"
    JOIN_HEADS = "[heads, size, out] = [out, heads * size]"

    def stored_shape(self, shape: Shape) -> Shape:
        """Return the stored shape of a Keras variable of this shape."""
        match self:
            case Layout.SAME:
                return shape
            case Layout.SPLIT_HEADS_BIAS:
                return (prod(shape),)
            case Layout.SPLIT_HEADS:
                return (prod(shape[1:]), shape[0])
            case _:
                return (shape[-1], prod(shape[:-1]))

    def to_keras(self, stored: np.ndarray, shape: Shape) -> np.ndarray:
        """Return a stored tensor as the Keras variable of this shape holds it."""
        return (stored.T if self._transposes else stored).reshape(shape)

    def to_stored(self, value: np.ndarray) -> np.ndarray:
        """Return a Keras variable's value as the checkpoint stores it, contiguous."""
        stored = self.stored_shape(value.shape)
        if not self._transposes:
            return np.ascontiguousarray(value.reshape(stored))
        return np.ascontiguousarray(value.reshape(stored[::-1]).T)

    @property
    def _transposes(self) -> bool:
        return self in (Layout.DENSE, Layout.SPLIT_HEADS, Layout.JOIN_HEADS)
