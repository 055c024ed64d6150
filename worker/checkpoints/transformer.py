"""A transformer layer of a batch in parts: KerasHub's variables, our computation."""

from collections.abc import Sequence
from typing import Any

from worker.backend import keras, tf
from worker.checkpoints.layer_function import LayerFunction, LayerWeights, Pair, Seeds


class TransformerLayer(keras.layers.Layer):
    """Computes with one of KerasHub's TransformerEncoders' variables what a LayerFunction for such layers computes."""

    def __init__(self, layer: Any, function: LayerFunction) -> None:
        super().__init__()
        self.layer = layer
        self._function = function

    def call(self, states: Sequence[Any], masks: Sequence[Any], training: bool | None = None) -> list[Any]:
        """The next states, see LayerFunction."""
        return self._function(states, masks, self._weights(), self._seeds(training))

    def _weights(self) -> LayerWeights:
        layer, attention = self.layer, self.layer._self_attention_layer
        hidden = attention._output_dense.bias.shape[-1]
        query, key, value = (
            _matrix(one, [hidden, -1]) for one in (attention._query_dense, attention._key_dense, attention._value_dense)
        )
        return LayerWeights(
            query=query,
            key=key,
            value=value,
            joined=_matrix(attention._output_dense, [-1, hidden]),
            attended=_norm(layer._self_attention_layer_norm),
            up=_matrix(layer._feedforward_intermediate_dense, [hidden, -1]),
            down=_matrix(layer._feedforward_output_dense, [-1, hidden]),
            last=_norm(layer._feedforward_layer_norm),
        )

    def _seeds(self, training: bool | None) -> Seeds:
        if not training:
            return Seeds(None, None, None)
        layer = self.layer
        dropouts = (
            layer._self_attention_layer._dropout_layer,
            layer._self_attention_dropout,
            layer._feedforward_dropout,
        )
        return Seeds(*(one.seed_generator.next() for one in dropouts))


def _matrix(dense: Any, shape: list[int]) -> Pair:
    return tf.reshape(dense.kernel, shape), tf.reshape(dense.bias, [-1])


def _norm(layer: Any) -> Pair:
    return tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta)
