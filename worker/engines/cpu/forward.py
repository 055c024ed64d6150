"""The forward pass of the five families, written once for every library that a graph of it is built with.

Source of the formulas: the modeling files of transformers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from worker.checkpoints.families import POSITIONS, SEGMENT_TYPES, WORDS
from worker.checkpoints.weights import Weights

Node = TypeVar("Node")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The two tensors of a dense layer (float32 [out, in] and [out]) or of a norm ([size] both), and its name.

    ALBERT's layers share theirs: equal names mean equal tensors.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray


class Operations(Protocol[Node]):
    """What a library does of the forward pass. Its nodes hold states, float32 [batch, length, size]."""

    def embed(self, name: str, table: np.ndarray, indices: Node) -> Node:
        """Look up int32 [batch or 1, length] in a table [rows, size]."""
        ...

    def token_ids(self) -> Node:
        """The input, int32 [batch, length]."""
        ...

    def segment_ids(self) -> Node:
        """The input, int32 [batch, length]; asked for only where the family has segments."""
        ...

    def places(self) -> Node:
        """Each token's number in its row, from 0: int32 [1, length]."""
        ...

    def places_after(self, padding_id: int) -> Node:
        """Each token's number among those that are not padding, from padding_id + 1: int32 [batch, length].

        create_position_ids_from_input_ids of RoBERTa.
        """
        ...

    def add(self, x: Node, y: Node) -> Node:
        """The sum; one of the two may have a batch of 1."""
        ...

    def normalize(self, x: Node, norm: Parameters, epsilon: float, skipped: Node | None = None) -> Node:
        """Layer normalization over the last axis, of x or of x + skipped."""
        ...

    def dense(self, x: Node, layer: Parameters) -> Node:
        """x times the weights, plus the bias, for states."""
        ...

    def dense_of_head(self, x: Node, layer: Parameters) -> Node:
        """The same for one state a review, [batch, size]: little work, and every error would show."""
        ...

    def attend(self, query: Node, key: Node, value: Node, heads: int) -> Node:
        """Attention that padding has no share in. The scale of the scores is in the query already."""
        ...

    def activate(self, name: str, x: Node) -> Node:
        """An activation of worker.checkpoints.settings.ACTIVATIONS, or tanh."""
        ...

    def first_token(self, x: Node) -> Node:
        """The first token's states alone: [batch, 1, size]."""
        ...

    def without_length(self, x: Node) -> Node:
        """[batch, 1, size] as [batch, size]."""
        ...


#: How the head reads the first token's state: the dense layer before the last one, and what follows it.
_HEAD_STEPS: Mapping[str, tuple[str, str]] = {
    "distilbert": ("pre_classifier", "relu"),
    "roberta": ("classifier.dense", "tanh"),
    "xlm-roberta": ("classifier.dense", "tanh"),
}
_LAST_DENSE = {"roberta": "classifier.out_proj", "xlm-roberta": "classifier.out_proj"}
_POOLERS = {"bert": "pooler.dense", "albert": "pooler"}


class Forward(Generic[Node]):
    """A checkpoint's forward pass in the operations of one library."""

    def __init__(self, weights: Weights, operations: Operations[Node]) -> None:
        self._weights = weights
        self._settings = weights.settings
        self._do = operations

    def logits(self) -> Node:
        """The logits, float32 [batch, classes]. Raises CheckpointLoadError."""
        states = self._embed()
        places = self._places()
        for number, place in enumerate(places):
            # Of the last layer only the first token's state is read: nothing else is computed there.
            asking = self._do.first_token(states) if number == len(places) - 1 else states
            states = self._layer(states, asking, place)
        states = self._do.first_token(states) if not places else states
        return self._head(self._do.without_length(states))

    def _places(self) -> list[str]:
        """Where the tensors of each layer are stored, in the order of computing."""
        settings, family = self._settings, self._weights.family
        layers_a_group = settings.layers // settings.groups
        return [
            family.stored_place(number // layers_a_group, inner)
            for number in range(settings.layers)
            for inner in range(settings.repetitions)
        ]

    def _embed(self) -> Node:
        settings, do = self._settings, self._do
        states = self._looked_up(WORDS, settings.vocabulary, do.token_ids())
        states = do.add(states, self._looked_up(POSITIONS, settings.positions, self._positions()))
        if self._weights.family.segments:
            states = do.add(states, self._looked_up(SEGMENT_TYPES, settings.segments, do.segment_ids()))
        states = do.normalize(states, self._norm("embeddings.LayerNorm", settings.embedding), settings.epsilon)
        if self._weights.facts.family == "albert":
            widened = self._dense("encoder.embedding_hidden_mapping_in", settings.embedding, settings.hidden)
            return do.dense(states, widened)
        return states

    def _looked_up(self, name: str, rows: int, indices: Node) -> Node:
        table = self._weights.encoder_tensor(name, (rows, self._settings.embedding))
        return self._do.embed(name, table, indices)

    def _positions(self) -> Node:
        if self._weights.family.folds_token_types:
            return self._do.places_after(self._settings.padding_id)
        return self._do.places()

    def _layer(self, states: Node, asking: Node, place: str) -> Node:
        """One layer for the tokens `asking`, [batch, asked, hidden], that look at all of `states`."""
        settings, names, do = self._settings, self._weights.family.layer, self._do
        hidden, inner, epsilon = settings.hidden, settings.intermediate, settings.epsilon
        attended = do.dense(
            self._attention(states, asking, place), self._dense(f"{place}.{names.output}", hidden, hidden)
        )
        asking = do.normalize(asking, self._norm(f"{place}.{names.norm}", hidden), epsilon, attended)
        raised = do.activate(settings.activation, do.dense(asking, self._dense(f"{place}.{names.up}", hidden, inner)))
        lowered = do.dense(raised, self._dense(f"{place}.{names.down}", inner, hidden))
        return do.normalize(asking, self._norm(f"{place}.{names.last_norm}", hidden), epsilon, lowered)

    def _attention(self, states: Node, asking: Node, place: str) -> Node:
        names, hidden, do = self._weights.family.layer, self._settings.hidden, self._do
        # The scores' scale is multiplied into the query's weights.
        scale = (hidden // self._settings.heads) ** -0.5
        query = do.dense(asking, self._dense(f"{place}.{names.query}", hidden, hidden, scale))
        key = do.dense(states, self._dense(f"{place}.{names.key}", hidden, hidden))
        value = do.dense(states, self._dense(f"{place}.{names.value}", hidden, hidden))
        return do.attend(query, key, value, self._settings.heads)

    def _head(self, state: Node) -> Node:
        name, hidden, do = self._weights.facts.family, self._settings.hidden, self._do
        assert self._weights.facts.labels is not None
        if name in _POOLERS:
            state = do.activate("tanh", do.dense_of_head(state, self._dense(_POOLERS[name], hidden, hidden)))
        else:
            dense, activation = _HEAD_STEPS[name]
            state = do.activate(activation, do.dense_of_head(state, self._head_dense(dense, hidden, hidden)))
        classes = len(self._weights.facts.labels)
        return do.dense_of_head(state, self._head_dense(_LAST_DENSE.get(name, "classifier"), hidden, classes))

    def _dense(self, name: str, size_in: int, size_out: int, scale: float = 1.0) -> Parameters:
        return _parameters(self._weights.encoder_tensor, name, (size_out, size_in), scale)

    def _head_dense(self, name: str, size_in: int, size_out: int) -> Parameters:
        return _parameters(self._weights.tensor, name, (size_out, size_in))

    def _norm(self, name: str, size: int) -> Parameters:
        return _parameters(self._weights.encoder_tensor, name, (size,))


def _parameters(
    read: Callable[[str, tuple[int, ...]], np.ndarray], name: str, shape: tuple[int, ...], scale: float = 1.0
) -> Parameters:
    weight, bias = read(f"{name}.weight", shape), read(f"{name}.bias", shape[:1])
    return Parameters(name, weight * np.float32(scale), bias * np.float32(scale))
