"""The forward pass of the five families as an OpenVINO graph, built from a checkpoint's own weights.

Three separate query, key and value products and plain MatMul and Softmax for the attention: OpenVINO fuses these
better, in int8 above all, than one joint product or its attention operation.
Source of the formulas: the modeling files of transformers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from openvino import Model, Node
from openvino import opset13 as ops

from worker.checkpoints.families import POSITIONS, SEGMENT_TYPES, WORDS
from worker.checkpoints.weights import Weights
from worker.engines.openvino.engine import VOCABULARY

#: Added to the attention scores of padding: its share is then 0 in float32.
_MASKED = -1e4
#: hidden_act of a checkpoint -> the operation.
_ACTIVATIONS: Mapping[str, Any] = {
    "gelu": lambda x: ops.gelu(x, "erf"),
    "gelu_python": lambda x: ops.gelu(x, "erf"),
    "gelu_new": lambda x: ops.gelu(x, "tanh"),
    "gelu_fast": lambda x: ops.gelu(x, "tanh"),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, "tanh"),
    "relu": ops.relu,
    "silu": ops.swish,
    "swish": ops.swish,
}
#: How the head reads the first token's state: the dense layer before the last one, and what follows it.
_HEAD_STEPS: Mapping[str, tuple[str, Any]] = {
    "distilbert": ("pre_classifier", ops.relu),
    "roberta": ("classifier.dense", ops.tanh),
    "xlm-roberta": ("classifier.dense", ops.tanh),
}
_LAST_DENSE = {"roberta": "classifier.out_proj", "xlm-roberta": "classifier.out_proj"}
_POOLERS = {"bert": "pooler.dense", "albert": "pooler"}


def build_graph(weights: Weights) -> Model:
    """Build the model: int32 [batch, length] `token_ids`, `padding_mask` and, where the family has them,
    `segment_ids` in; float32 logits [batch, classes] out.

    Every MatMul with weights is named for the stored name of its layer, as in `encoder.layer.0.output.dense#6`.
    Raises CheckpointLoadError.
    """
    return _Builder(weights).build()


class _Builder:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._settings = weights.settings
        self._constants: dict[str, Node] = {}  # ALBERT's layers share theirs
        self._products = 0
        names = ["token_ids", *(["segment_ids"] if weights.family.segments else []), "padding_mask"]
        self._inputs = {name: ops.parameter([-1, -1], np.int32, name=name) for name in names}

    def build(self) -> Model:
        mask = self._attention_mask()
        states = self._embed()
        places = self._places()
        for number, place in enumerate(places):
            # Of the last layer only the first token's state is read: nothing else is computed there.
            asking = self._first_token(states) if number == len(places) - 1 else states
            states = self._layer(states, asking, mask, place)
        states = self._first_token(states) if not places else states
        logits = self._head(ops.squeeze(states, _ints(1)))
        model = Model([ops.result(logits)], list(self._inputs.values()), "classifier")
        model.set_rt_info(self._settings.vocabulary, VOCABULARY)
        return model

    def _places(self) -> list[str]:
        """Where the tensors of each layer are stored, in the order of computing."""
        settings, family = self._settings, self._weights.family
        layers_a_group = settings.layers // settings.groups
        return [
            family.stored_place(number // layers_a_group, inner)
            for number in range(settings.layers)
            for inner in range(settings.repetitions)
        ]

    def _attention_mask(self) -> Node:
        padding = ops.subtract(_float(1.0), ops.convert(self._inputs["padding_mask"], "f32"))
        return ops.unsqueeze(ops.multiply(padding, _float(_MASKED)), _ints(1, 2))

    def _embed(self) -> Node:
        settings = self._settings
        tokens = self._inputs["token_ids"]
        states = ops.gather(self._table(WORDS, settings.vocabulary), tokens, _int(0))
        states = ops.add(states, ops.gather(self._table(POSITIONS, settings.positions), self._positions(), _int(0)))
        if self._weights.family.segments:
            kinds = ops.gather(self._table(SEGMENT_TYPES, settings.segments), self._inputs["segment_ids"], _int(0))
            states = ops.add(states, kinds)
        states = self._norm(states, "embeddings.LayerNorm", settings.embedding)
        if self._weights.facts.family == "albert":
            return self._dense(states, "encoder.embedding_hidden_mapping_in", settings.embedding, settings.hidden)
        return states

    def _positions(self) -> Node:
        tokens = self._inputs["token_ids"]
        if self._weights.family.folds_token_types:
            # RoBERTa counts from the padding id + 1, and skips padding: create_position_ids_from_input_ids.
            real = ops.convert(ops.not_equal(tokens, _int(self._settings.padding_id)), "i32")
            return ops.add(ops.multiply(ops.cum_sum(real, _int(1)), real), _int(self._settings.padding_id))
        length = ops.gather(ops.shape_of(tokens, "i32"), _int(1), _int(0))
        return ops.unsqueeze(ops.range(_int(0), length, _int(1), "i32"), _ints(0))

    def _layer(self, states: Node, asking: Node, mask: Node, place: str) -> Node:
        """One layer for the tokens `asking`, [batch, asked, hidden], that look at all of `states`."""
        settings, names = self._settings, self._weights.family.layer
        attended = self._attention(states, asking, mask, place)
        attended = self._dense(attended, f"{place}.{names.output}", settings.hidden, settings.hidden)
        asking = self._norm(ops.add(asking, attended), f"{place}.{names.norm}", settings.hidden)
        raised = self._dense(asking, f"{place}.{names.up}", settings.hidden, settings.intermediate)
        raised = _ACTIVATIONS[settings.activation](raised)
        lowered = self._dense(raised, f"{place}.{names.down}", settings.intermediate, settings.hidden)
        return self._norm(ops.add(asking, lowered), f"{place}.{names.last_norm}", settings.hidden)

    def _attention(self, states: Node, asking: Node, mask: Node, place: str) -> Node:
        names, hidden = self._weights.family.layer, self._settings.hidden
        # The scores' scale is multiplied into the query's weights.
        scale = (hidden // self._settings.heads) ** -0.5
        query = self._heads(self._dense(asking, f"{place}.{names.query}", hidden, hidden, scale))
        key = self._heads(self._dense(states, f"{place}.{names.key}", hidden, hidden))
        value = self._heads(self._dense(states, f"{place}.{names.value}", hidden, hidden))
        shares = ops.softmax(ops.add(ops.matmul(query, key, False, True), mask), -1)
        mixed = ops.transpose(ops.matmul(shares, value, False, False), _ints(0, 2, 1, 3))
        return ops.reshape(mixed, _ints(0, 0, hidden), True)

    def _heads(self, states: Node) -> Node:
        heads = self._settings.heads
        split = ops.reshape(states, _ints(0, 0, heads, self._settings.hidden // heads), True)
        return ops.transpose(split, _ints(0, 2, 1, 3))

    def _first_token(self, states: Node) -> Node:
        return ops.gather(states, _ints(0), _int(1))

    def _head(self, state: Node) -> Node:
        name, settings = self._weights.facts.family, self._settings
        assert self._weights.facts.labels is not None
        if name in _POOLERS:
            state = ops.tanh(self._dense(state, _POOLERS[name], settings.hidden, settings.hidden))
        else:
            dense, step = _HEAD_STEPS[name]
            state = step(self._dense(state, dense, settings.hidden, settings.hidden, whole_name=True))
        last = _LAST_DENSE.get(name, "classifier")
        return self._dense(state, last, settings.hidden, len(self._weights.facts.labels), whole_name=True)

    def _dense(
        self, x: Node, name: str, size_in: int, size_out: int, scale: float = 1.0, *, whole_name: bool = False
    ) -> Node:
        kernel = self._constant(f"{name}.weight", (size_out, size_in), scale, whole_name)
        product = ops.matmul(x, kernel, False, True)
        # ALBERT has several products of the same weights.
        self._products += 1
        product.set_friendly_name(f"{name}#{self._products}")
        return ops.add(product, self._constant(f"{name}.bias", (size_out,), scale, whole_name))

    def _norm(self, x: Node, name: str, size: int) -> Node:
        """Layer normalization over the last axis."""
        normal = ops.mvn(x, _ints(-1), True, self._settings.epsilon, "inside_sqrt")
        return ops.add(
            ops.multiply(normal, self._constant(f"{name}.weight", (size,))), self._constant(f"{name}.bias", (size,))
        )

    def _table(self, name: str, rows: int) -> Node:
        return self._constant(name, (rows, self._settings.embedding))

    def _constant(self, name: str, shape: tuple[int, ...], scale: float = 1.0, whole_name: bool = False) -> Node:
        if name not in self._constants:
            read = self._weights.tensor if whole_name else self._weights.encoder_tensor
            value = read(name, shape)
            self._constants[name] = ops.constant(np.ascontiguousarray(value * np.float32(scale), dtype=np.float32))
        return self._constants[name]


def _ints(*values: int) -> Node:
    return ops.constant(np.array(values, dtype=np.int32))


def _int(value: int) -> Node:
    return ops.constant(np.int32(value))


def _float(value: float) -> Node:
    return ops.constant(np.float32(value))
