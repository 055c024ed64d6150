"""KerasHub backbones, adjusted to what a config asks and KerasHub's constructors do not offer."""

import functools
from collections.abc import Mapping
from typing import Any

from worker.backend import keras, keras_hub
from worker.checkpoints.gelu import gelu
from worker.checkpoints.settings import ACTIVATIONS, Settings

#: Any rate above 0: a Keras dropout built with 0 has no random state, and could not be given a rate later.
_ANY_DROPOUT = 0.1

_BACKBONES: Mapping[str, Any] = {
    "bert": keras_hub.models.BertBackbone,
    "distilbert": keras_hub.models.DistilBertBackbone,
    "roberta": keras_hub.models.RobertaBackbone,
    "xlm-roberta": keras_hub.models.XLMRobertaBackbone,
    "albert": keras_hub.models.AlbertBackbone,
}


def build_backbone(family: str, settings: Settings) -> keras.Model:
    """Build the encoder of a family, with random weights and all else as in the settings."""
    backbone = _BACKBONES[family](**_arguments(family, settings))
    layers = backbone._flatten_layers()
    for layer in layers:
        _adjust(layer, settings)
    for layer in layers:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            layer._dropout = layer._dropout_layer.rate = settings.attention_dropout
    return backbone


def _arguments(family: str, settings: Settings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "vocabulary_size": settings.vocabulary,
        "num_layers": settings.layers,
        "num_heads": settings.heads,
        "hidden_dim": settings.hidden,
        "intermediate_dim": settings.intermediate,
        "max_sequence_length": settings.positions,
        "dropout": _ANY_DROPOUT,
    }
    if family in ("bert", "albert"):
        arguments["num_segments"] = settings.segments
    if family == "albert":
        arguments["embedding_dim"] = settings.embedding
        arguments["num_groups"] = settings.groups
        arguments["num_inner_repetitions"] = settings.repetitions
    return arguments


def _adjust(layer: keras.layers.Layer, settings: Settings) -> None:
    """Set on a built layer what its model's constructor fixed; each is read when the layer is called."""
    if isinstance(layer, keras.layers.LayerNormalization):
        layer.epsilon = settings.epsilon
    elif isinstance(layer, keras.layers.Dropout):
        layer.rate = settings.hidden_dropout
    elif layer.name == "feedforward_intermediate_dense":
        layer.activation = _activation(settings.activation)


def _activation(name: str) -> Any:
    keras_name, approximate = ACTIVATIONS[name]
    if keras_name == "gelu":
        return functools.partial(keras.activations.gelu, approximate=True) if approximate else gelu
    return keras.activations.get(keras_name)
