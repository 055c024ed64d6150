"""The encoder's forward pass, up to the vector that a classification head stands on, and no further."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.backend import keras
from worker.checkpoints.compute import parts_at_once
from worker.checkpoints.layer_function import LayerFunction
from worker.checkpoints.parts import Cut, join
from worker.checkpoints.settings import Settings
from worker.checkpoints.transformer import TransformerLayer


def encode(
    family: str, backbone: keras.Model, inputs: Mapping[str, Any], settings: Settings, products: str | None = None
) -> Any:
    """Run the encoder on symbolic inputs; returns the vector that the head stands on, [batch, hidden].

    Its layers multiply in the format `products`, see LayerFunction.

    That is the pooled first token for BERT and ALBERT, the first token's last hidden state for the others. No head
    looks at another token, so the last layer computes none: of the products of six layers a seventh is saved.
    """
    states = backbone.embeddings_dropout(backbone.embeddings_layer_norm(_embed(family, backbone, inputs, settings)))
    if family == "albert":
        states = backbone.embeddings_projection(states)
    cut = Cut(parts_at_once())
    states, masks = cut(states), cut(inputs["padding_mask"])
    *layers, last = _layers(family, backbone, settings)
    all_tokens = LayerFunction(last, first_only=False, products=products)
    # One for all times that a layer of ALBERT is passed through.
    computing = {id(layer): TransformerLayer(layer, all_tokens) for layer in layers}
    for layer in layers:
        states = computing[id(layer)](states, masks)
    first_token = LayerFunction(last, first_only=True, products=products)
    first = join(TransformerLayer(last, first_token)(states, masks))
    return backbone.pooled_dense(first) if family in ("bert", "albert") else first


def _embed(family: str, backbone: keras.Model, inputs: Mapping[str, Any], settings: Settings) -> Any:
    ids = inputs["token_ids"]
    if family == "distilbert":
        return backbone.embeddings(ids)
    if family in ("roberta", "xlm-roberta"):
        return backbone.embeddings(ids, positions=_roberta_positions(ids, settings.padding_id))
    tokens, segments = backbone.token_embedding(ids), backbone.segment_embedding(inputs["segment_ids"])
    return backbone.embeddings_add((tokens, backbone.position_embedding(tokens), segments))


def _roberta_positions(tokens: Any, padding_id: int) -> Any:
    """RoBERTa's own position numbers, which KerasHub counts from 0 instead.

    Source: create_position_ids_from_input_ids of transformers. Positions count from padding_id + 1 and skip
    padding tokens, also one that a review spells out in its text.
    """
    real = keras.ops.cast(keras.ops.not_equal(tokens, padding_id), "int32")
    return keras.ops.cumsum(real, axis=1) * real + padding_id


def _layers(family: str, backbone: keras.Model, settings: Settings) -> Sequence[Any]:
    """The layers in the order in which they are run: ALBERT runs each of a group again and again."""
    if family != "albert":
        return list(backbone.transformer_layers)
    times = settings.layers // settings.groups
    return [layer for group in backbone.transformer_layers for _ in range(times) for layer in group]
