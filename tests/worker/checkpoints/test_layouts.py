"""Each layout undoes itself, and puts each number where the other framework reads it."""

import numpy as np
import pytest

from worker.checkpoints.layouts import Layout

SHAPES = {
    Layout.SAME: ((5,), (5,)),
    Layout.DENSE: ((3, 4), (4, 3)),
    Layout.SPLIT_HEADS: ((6, 2, 5), (10, 6)),
    Layout.SPLIT_HEADS_BIAS: ((2, 5), (10,)),
    Layout.JOIN_HEADS: ((2, 5, 6), (6, 10)),
}


@pytest.mark.parametrize("layout", Layout)
def test_back_and_forth(layout: Layout) -> None:
    shape, stored_shape = SHAPES[layout]
    stored = np.arange(np.prod(stored_shape), dtype=np.float32).reshape(stored_shape)
    assert layout.stored_shape(shape) == stored_shape
    assert layout.to_keras(stored, shape).shape == shape
    back = layout.to_stored(layout.to_keras(stored, shape))
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, stored)


def test_heads_are_split_as_pytorch_views_them() -> None:
    stored = np.arange(60.0).reshape(10, 6)
    kernel = Layout.SPLIT_HEADS.to_keras(stored, (6, 2, 5))
    states = np.arange(6.0)
    np.testing.assert_allclose(np.einsum("i,ihs->hs", states, kernel), (stored @ states).reshape(2, 5))
