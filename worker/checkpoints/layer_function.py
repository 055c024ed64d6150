"""What a transformer layer computes, of tensors alone: TensorFlow traces it once for all layers that are alike."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from worker.backend import tf
from worker.checkpoints.dropout import drop
from worker.checkpoints.normalize import normalize
from worker.checkpoints.products import multiply

#: What padding adds to a score: no share of the attention is left to it.
_NOWHERE = -1e9

Pair = tuple[Any, Any]
Parts = Sequence[Any]


class LayerWeights(NamedTuple):
    """Kernels [in, out] with their biases [out], and the gammas of the two norms with their betas."""

    query: Pair
    key: Pair
    value: Pair
    joined: Pair
    attended: Pair
    up: Pair
    down: Pair
    last: Pair


class Seeds(NamedTuple):
    """For the dropout of what is attended to, and of what attention and the feed-forward layers add; None for none."""

    shares: Any
    attended: Any
    added: Any


class LayerFunction:
    """The forward pass of KerasHub's TransformerEncoder, in as few operations as TensorFlow can make of its training.

    The tokens of a part's texts are rows of one matrix; queries, keys and values are one product; and dropout, layer
    normalization and GELU go over the states less often, on the way back above all. With `first_only` it computes the
    states of the first token alone.

    Matrices are multiplied in the format `products`, or in that of the states. A CPU is slow in bfloat16 at all else.
    """

    def __init__(self, like: Any, *, first_only: bool, products: str | None) -> None:
        """For layers of the sizes, the rates, the epsilon and the activation of this one."""
        self._first_only = first_only
        self._products = products
        attention = like._self_attention_layer
        self._heads, self._size = attention._num_heads, attention._key_dim
        self._rates = Seeds(
            attention._dropout_layer.rate, like._self_attention_dropout.rate, like._feedforward_dropout.rate
        )
        self._epsilon = like._feedforward_layer_norm.epsilon
        self._activation = like._feedforward_intermediate_dense.activation
        self._traced = tf.function(self._forward, reduce_retracing=True, autograph=False)

    def __call__(self, states: Parts, masks: Parts, weights: LayerWeights, seeds: Seeds) -> list[Any]:
        """The next states of a batch in parts, [batch, tokens, size] as they come, or [batch, size] of first tokens.

        Masks are int32 [batch, tokens], 1 for a token.
        """
        return list(self._traced(list(states), list(masks), weights, seeds))

    def _forward(self, states: Parts, masks: Parts, weights: LayerWeights, seeds: Seeds) -> list[Any]:
        size = states[0].shape[-1]
        rows = [tf.reshape(part, [-1, size]) for part in states]
        read = [part[:, 0] for part in states] if self._first_only else rows
        attended = self._attend(rows, read, masks, weights, seeds)
        after = self._feed_forward(attended, weights, seeds)
        if self._first_only:
            return after
        return [tf.reshape(part, tf.shape(before)) for part, before in zip(after, states, strict=True)]

    def _feed_forward(self, rows: Parts, weights: LayerWeights, seeds: Seeds) -> list[Any]:
        wide = [self._activation(part) for part in self._dense(rows, weights.up, rows[0].dtype)]
        narrow = self._dense(wide, weights.down, rows[0].dtype)
        return self._add(rows, drop(narrow, self._rates.added, seeds.added), weights.last)

    def _attend(self, rows: Parts, read: Parts, masks: Parts, weights: LayerWeights, seeds: Seeds) -> list[Any]:
        """The rows that are read, each with what it attends to of its text's rows."""
        projected = self._projections(rows, read, masks, weights)
        shares = [_shares(query, key, mask) for (query, key, _), mask in zip(projected, masks, strict=True)]
        kept = drop(shares, self._rates.shares, seeds.shares)
        mixed = [self._mix(some, value) for some, (_, _, value) in zip(kept, projected, strict=True)]
        out = self._dense(mixed, weights.joined, read[0].dtype)
        return self._add(read, drop(out, self._rates.attended, seeds.attended), weights.attended)

    def _add(self, rows: Parts, more: Parts, norm: Pair) -> list[Any]:
        return [normalize(one + other, norm, self._epsilon) for one, other in zip(rows, more, strict=True)]

    def _mix(self, shares: Any, values: Any) -> Any:
        return tf.reshape(tf.transpose(tf.matmul(shares, values), [0, 2, 1, 3]), [-1, self._heads * self._size])

    def _projections(self, rows: Parts, read: Parts, masks: Parts, weights: LayerWeights) -> list[tuple[Any, Any, Any]]:
        """Queries, scaled, of the rows that are read, and keys and values of all: [batch, heads, rows, size] each."""
        query = tuple(part * (1.0 / math.sqrt(self._size)) for part in weights.query)
        shapes = [tf.shape(mask) for mask in masks]
        if not self._first_only:
            all_three = self._beside(rows, query, weights.key, weights.value)
            return [self._split(part, shape, 3) for part, shape in zip(all_three, shapes, strict=True)]
        asking, told = self._beside(read, query), self._beside(rows, weights.key, weights.value)
        return [
            (*self._split(one, [shape[0], 1], 1), *self._split(two, shape, 2))
            for one, two, shape in zip(asking, told, shapes, strict=True)
        ]

    def _split(self, rows: Any, shape: Any, count: int) -> tuple[Any, ...]:
        """Rows of several projections beside each other, each by head: [batch, heads, tokens, size]."""
        apart = tf.reshape(rows, [shape[0], shape[1], count, self._heads, self._size])
        return tuple(tf.unstack(tf.transpose(apart, [2, 0, 3, 1, 4]), num=count))

    def _beside(self, rows: Parts, *projections: Pair) -> list[Any]:
        """Several projections of the rows beside each other, in the format of products: attention multiplies them."""
        kernels, biases = zip(*projections, strict=True)
        return self._dense(rows, (tf.concat(kernels, 1), tf.concat(biases, 0)), self._products or rows[0].dtype)

    def _dense(self, rows: Parts, weights: Pair, form: Any) -> list[Any]:
        kernel, bias = weights
        products = multiply(rows, kernel, self._products or rows[0].dtype)
        return [tf.nn.bias_add(tf.cast(part, form), tf.cast(bias, form)) for part in products]


def _shares(query: Any, key: Any, mask: Any) -> Any:
    """How much of its attention each row gives to each, [batch, heads, rows, tokens], in the format of the queries."""
    padding = (1.0 - tf.cast(mask, tf.float32))[:, None, None, :] * _NOWHERE
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + padding
    return tf.cast(tf.nn.softmax(scores), query.dtype)
