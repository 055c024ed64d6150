"""Dropout from a quarter of the random numbers: eight bits decide on an element."""

from collections.abc import Sequence
from typing import Any

from worker.backend import tf

#: What eight bits can tell apart; a rate is rounded to that.
_LEVELS = 256


def drop(parts: Sequence[Any], rate: float, seed: Any) -> list[Any]:
    """Set a share of the elements, the rate, to 0 and scale the others: the mean stays. A seed of None leaves all.

    The parts are a tensor's along its first axis, and what is dropped is the same however it is cut. As Keras's layer
    does it, from the same seeds, but for the numbers drawn: of a training step of MiniLM on two cores drawing 32 bits
    for each element took a twelfth. The rate counts in 256ths: one of 0.1 is 26 of them.
    """
    kept = _LEVELS - round(_LEVELS * rate)
    if seed is None or kept == _LEVELS:
        return list(parts)
    scale = _LEVELS / max(kept, 1)
    drawn = _bytes(seed, [tf.size(part) for part in parts])
    return [
        part * (tf.cast(tf.reshape(some, tf.shape(part)) < tf.constant(kept, tf.uint8), part.dtype) * scale)
        for part, some in zip(parts, drawn, strict=True)
    ]


def _bytes(seed: Any, sizes: Sequence[Any]) -> list[Any]:
    """Random bytes, uint8, so many for each part."""
    size = tf.add_n(sizes)
    words = tf.random.stateless_uniform([(size + 3) // 4], seed, None, None, tf.int32)
    drawn = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size]
    return [drawn] if len(sizes) == 1 else tf.split(drawn, tf.stack(sizes))
