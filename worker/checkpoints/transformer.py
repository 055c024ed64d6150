"""The forward pass of KerasHub's TransformerEncoder, in as few operations as TensorFlow can make of its training."""

import math
from typing import Any

from worker.backend import keras, tf
from worker.checkpoints.dropout import drop
from worker.checkpoints.normalize import normalize

#: What padding adds to a score: no share of the attention is left to it.
_NOWHERE = -1e9


class TransformerLayer(keras.layers.Layer):
    """Computes what one of the encoder's layers does, with that layer's variables.

    states are [batch, tokens, size], padding_mask int32 [batch, tokens], 1 for a token. Returns the next states, alike;
    or, with `first_only`, those of the first token alone, [batch, size]: nothing else is computed then.

    The tokens of all texts are rows of one matrix; queries, keys and values are one product; and dropout, layer
    normalization and GELU go over the states less often, on the way back above all.

    Matrices are multiplied in the format `products`, or in that of the states. A CPU is slow in bfloat16 at all else.
    """

    def __init__(self, layer: Any, *, first_only: bool = False, products: str | None = None) -> None:
        super().__init__(name=f"{layer.name}_{'first' if first_only else 'all'}")
        self.layer = layer
        self.first_only = first_only
        self.products = products or self.compute_dtype

    def call(self, states: Any, padding_mask: Any, training: bool | None = None) -> Any:
        """The next states."""
        batch, tokens, size = tf.shape(states)[0], tf.shape(states)[1], states.shape[-1]
        rows = tf.reshape(states, [-1, size])
        read = states[:, 0] if self.first_only else rows
        padding = (1.0 - tf.cast(padding_mask, tf.float32))[:, None, None, :] * _NOWHERE
        attended = self._attend(rows, read, [batch, tokens], padding, training)
        after = self._feed_forward(attended, training)
        return after if self.first_only else tf.reshape(after, [batch, tokens, size])

    def _feed_forward(self, rows: Any, training: bool | None) -> Any:
        layer = self.layer
        up, down = layer._feedforward_intermediate_dense, layer._feedforward_output_dense
        wide = up.activation(self._dense(rows, up.kernel, up.bias))
        narrow = drop(layer._feedforward_dropout, self._dense(wide, down.kernel, down.bias), training)
        return normalize(layer._feedforward_layer_norm, rows + narrow)

    def _attend(self, rows: Any, read: Any, shape: list[Any], padding: Any, training: bool | None) -> Any:
        """The rows that are read, each with what it attends to of its text's rows."""
        layer, attention = self.layer, self.layer._self_attention_layer
        query, key, value = self._projections(rows, read, shape)
        scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + padding
        shares = drop(attention._dropout_layer, tf.cast(tf.nn.softmax(scores), value.dtype), training)
        mixed = tf.reshape(tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3]), [-1, _width(attention)])
        joined = attention._output_dense
        kernel = tf.reshape(joined.kernel, [_width(attention), read.shape[-1]])
        out = drop(layer._self_attention_dropout, self._dense(mixed, kernel, joined.bias), training)
        return normalize(layer._self_attention_layer_norm, read + out)

    def _projections(self, rows: Any, read: Any, shape: list[Any]) -> tuple[Any, Any, Any]:
        """Queries, scaled, of the rows that are read, and keys and values of all, [batch, heads, rows, size]."""
        attention = self.layer._self_attention_layer
        query, key, value = (
            (tf.reshape(one.kernel, [rows.shape[-1], -1]), tf.reshape(one.bias, [-1]))
            for one in (attention._query_dense, attention._key_dense, attention._value_dense)
        )
        query = tuple(part * (1.0 / math.sqrt(attention._key_dim)) for part in query)
        if not self.first_only:
            return tuple(self._split(self._joined(rows, query, key, value), shape, 3))
        (of_first,) = self._split(self._joined(read, query), [shape[0], 1], 1)
        return (of_first, *self._split(self._joined(rows, key, value), shape, 2))

    def _joined(self, rows: Any, *projections: tuple[Any, Any]) -> Any:
        """Several projections of the rows beside each other, in the format of products: attention multiplies them."""
        kernels, biases = zip(*projections, strict=True)
        return self._dense(rows, tf.concat(kernels, 1), tf.concat(biases, 0), self.products)

    def _dense(self, rows: Any, kernel: Any, bias: Any, form: str | None = None) -> Any:
        """The rows times the kernel, plus the bias, in the number format `form`, or in that of the states."""
        product = tf.matmul(tf.cast(rows, self.products), tf.cast(kernel, self.products))
        return tf.nn.bias_add(tf.cast(product, form or self.compute_dtype), tf.cast(bias, form or self.compute_dtype))

    def _split(self, rows: Any, shape: list[Any], parts: int) -> Any:
        """Rows of several projections beside each other, each by head: [batch, heads, tokens, size]."""
        attention = self.layer._self_attention_layer
        apart = tf.reshape(rows, [*shape, parts, attention._num_heads, attention._key_dim])
        return tf.unstack(tf.transpose(apart, [2, 0, 3, 1, 4]), num=parts)


def _width(attention: Any) -> int:
    return int(attention._num_heads * attention._key_dim)
