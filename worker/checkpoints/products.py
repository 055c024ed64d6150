"""Products of matrices with the kernels of dense layers, for a batch in parts."""

from collections.abc import Callable, Sequence
from typing import Any

from worker.backend import tf
from worker.checkpoints.parts import join


def multiply(parts: Sequence[Any], kernel: Any, form: Any) -> list[Any]:
    """The parts, each [rows, in], times the kernel [in, out], in the number format `form`.

    The kernel's gradient is one product over the rows of all parts, in place of the sum of one for each: adding takes
    arrays as large as the kernel, of which there are more numbers than in the parts. Nothing waits for it, so that
    another core has it to do whenever there is nothing else.
    """

    @tf.custom_gradient
    def forward(kernel: Any, *parts: Any) -> tuple[list[Any], Callable[..., tuple[Any, ...]]]:
        cast_kernel, rows = tf.cast(kernel, form), [tf.cast(part, form) for part in parts]

        def gradient(*upstream: Any) -> tuple[Any, ...]:
            of_kernel = tf.matmul(join(rows), join(upstream), transpose_a=True)
            of_rows = (tf.matmul(one, cast_kernel, transpose_b=True) for one in upstream)
            given = (tf.cast(one, part.dtype) for one, part in zip(of_rows, parts, strict=True))
            return tf.cast(of_kernel, kernel.dtype), *given

        return [tf.matmul(one, cast_kernel) for one in rows], gradient

    return list(forward(kernel, *parts))
