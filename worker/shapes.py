"""The shapes of batches, rows and tokens of each, for which an engine has made kernels.

A library makes kernels for every shape that it meets, and keeps them: those of products for the number of tokens in
all, others for the shape itself. An int8 DistilBERT keeps some 2 MiB of the former and 0.4 MiB of the latter, on every
stream. So that a worker's memory stays flat under jobs of all sizes, a batch is padded to what was met wherever that
costs little.
"""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from worker.engines.base import BatchCosts

#: Rows, and the tokens of each.
Shape = tuple[int, int]

#: Kernels of a long job are expected to serve so often: of what they take, each batch bears a share.
_SERVES = 12
#: With so many sizes and shapes met, one more is expected to serve half as often; but in long jobs, whose padding
#: counts, never less than twice. Simulated, of 400 chunks, of a long job and small ones by turns, the last 270 bring
#: 2 sizes and 4 shapes, and 4% of IMDb, scored after that, is padding.
_MANY_SIZES, _MANY_SHAPES, _SERVES_LEAST = 32, 64, 2
#: So many rows, and tokens of each, are added at most to come to a number of tokens that was met.
_NEAR = 8


class MetShapes:
    """What shapes cost beside their tokens: those that were met less than others."""

    def __init__(self, costs: BatchCosts) -> None:
        self._costs = costs
        self._shapes: set[Shape] = set()
        self._sizes: set[int] = set()

    def __len__(self) -> int:
        return len(self._shapes)

    def surcharges(self, width: int, rows: int) -> np.ndarray:
        """What batches of one row to `rows` of that length cost beside their tokens in a long job, int64 [rows]."""
        if not self._makes_kernels:
            return np.full(rows, self._costs.call)
        prices = self._prices(in_long_job=True)
        return self._costs.call + np.array([self._kernels((count, width), prices) for count in range(1, rows + 1)])

    def choose(self, rows: int, width: int, most: int, *, in_long_job: bool) -> Shape:
        """The shape that a batch of so many is best padded to, of at most `most` tokens; it is then met.

        It is the one whose tokens, with what kernels for it take, cost least.
        """
        own = rows, width
        if own in self._shapes or not self._makes_kernels:
            return own  # without kernels nothing is kept, here either
        prices = self._prices(in_long_job=in_long_job)
        others = [shape for shape in self._others(rows, width) if math.prod(shape) <= most]
        chosen = min([own, *others], key=lambda shape: math.prod(shape) + self._kernels(shape, prices))
        self._shapes.add(chosen)
        self._sizes.add(math.prod(chosen))
        return chosen

    @property
    def _makes_kernels(self) -> bool:
        return bool(self._costs.size or self._costs.shape)

    def _kernels(self, shape: Shape, prices: tuple[int, int]) -> int:
        """What kernels for that shape cost, in tokens, at these prices of a size and of a shape."""
        if shape in self._shapes:
            return 0
        for_size, for_shape = prices
        return for_shape + (0 if math.prod(shape) in self._sizes else for_size)

    def _others(self, rows: int, width: int) -> Iterator[Shape]:
        """Shapes with room for so many that were met, or have as many tokens as one that was."""
        # A copy: another task of this process may cut for the same engine.
        yield from (met for met in tuple(self._shapes) if met[0] >= rows and met[1] >= width)
        near = product(range(rows, rows + _NEAR + 1), range(width, width + _NEAR + 1))
        yield from (shape for shape in near if math.prod(shape) in self._sizes)

    def _prices(self, *, in_long_job: bool) -> tuple[int, int]:
        """In tokens, what kernels for a size and for a shape that were not met cost the batch that needs them."""
        if not in_long_job:
            return self._costs.size, self._costs.shape
        return (
            _share(self._costs.size, len(self._sizes) / _MANY_SIZES),
            _share(self._costs.shape, len(self._shapes) / _MANY_SHAPES),
        )


def _share(cost: int, crowd: float) -> int:
    return int(cost / max(_SERVES / (1 + crowd**2), _SERVES_LEAST))
