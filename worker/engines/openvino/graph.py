"""A checkpoint's forward pass as an OpenVINO graph, built from its own weights.

Three separate query, key and value products and plain MatMul and Softmax for the attention: OpenVINO fuses these
better, in int8 above all, than one joint product or its attention operation.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from openvino import Model, Node
from openvino import opset13 as ops

from worker.checkpoints.weights import Weights
from worker.engines.cpu.forward import Forward, Parameters
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
    "tanh": ops.tanh,
}


def build_graph(weights: Weights) -> Model:
    """Build the model: int32 [batch, length] `token_ids`, `padding_mask` and, where the family has them,
    `segment_ids` in; float32 logits [batch, classes] out.

    Every MatMul with weights is named for the stored name of its layer, as in `encoder.layer.0.output.dense#6`.
    Raises CheckpointLoadError.
    """
    operations = _Operations(weights.family.segments)
    logits = Forward(weights, operations).logits()
    model = Model([ops.result(logits)], list(operations.inputs.values()), "classifier")
    model.set_rt_info(weights.settings.vocabulary, VOCABULARY)
    return model


class _Operations:
    """worker.engines.cpu.forward.Operations in OpenVINO's operations."""

    def __init__(self, segments: bool) -> None:
        names = ["token_ids", *(["segment_ids"] if segments else []), "padding_mask"]
        self.inputs = {name: ops.parameter([-1, -1], np.int32, name=name) for name in names}
        self._constants: dict[str, Node] = {}
        self._products = 0
        padding = ops.subtract(_float(1.0), ops.convert(self.inputs["padding_mask"], "f32"))
        self._mask = ops.unsqueeze(ops.multiply(padding, _float(_MASKED)), _ints(1, 2))

    def token_ids(self) -> Node:
        return self.inputs["token_ids"]

    def segment_ids(self) -> Node:
        return self.inputs["segment_ids"]

    def places(self) -> Node:
        length = ops.gather(ops.shape_of(self.token_ids(), "i32"), _int(1), _int(0))
        return ops.unsqueeze(ops.range(_int(0), length, _int(1), "i32"), _ints(0))

    def places_after(self, padding_id: int) -> Node:
        real = ops.convert(ops.not_equal(self.token_ids(), _int(padding_id)), "i32")
        return ops.add(ops.multiply(ops.cum_sum(real, _int(1)), real), _int(padding_id))

    def embed(self, name: str, table: np.ndarray, indices: Node) -> Node:
        return ops.gather(self._constant(name, table), indices, _int(0))

    def add(self, x: Node, y: Node) -> Node:
        return ops.add(x, y)

    def normalize(self, x: Node, norm: Parameters, epsilon: float, skipped: Node | None = None) -> Node:
        summed = x if skipped is None else ops.add(x, skipped)
        normal = ops.mvn(summed, _ints(-1), True, epsilon, "inside_sqrt")
        return ops.add(ops.multiply(normal, self._weight(norm)), self._bias(norm))

    def dense(self, x: Node, layer: Parameters) -> Node:
        product = ops.matmul(x, self._weight(layer), False, True)
        # ALBERT has several products of the same weights.
        self._products += 1
        product.set_friendly_name(f"{layer.name}#{self._products}")
        return ops.add(product, self._bias(layer))

    def dense_of_head(self, x: Node, layer: Parameters) -> Node:
        return self.dense(x, layer)

    def attend(self, query: Node, key: Node, value: Node, heads: int) -> Node:
        query, key, value = (_split(states, heads) for states in (query, key, value))
        shares = ops.softmax(ops.add(ops.matmul(query, key, False, True), self._mask), -1)
        mixed = ops.transpose(ops.matmul(shares, value, False, False), _ints(0, 2, 1, 3))
        return ops.reshape(mixed, _ints(0, 0, -1), True)

    def activate(self, name: str, x: Node) -> Node:
        return _ACTIVATIONS[name](x)

    def first_token(self, x: Node) -> Node:
        return ops.gather(x, _ints(0), _int(1))

    def without_length(self, x: Node) -> Node:
        return ops.squeeze(x, _ints(1))

    def _weight(self, layer: Parameters) -> Node:
        return self._constant(f"{layer.name}.weight", layer.weight)

    def _bias(self, layer: Parameters) -> Node:
        return self._constant(f"{layer.name}.bias", layer.bias)

    def _constant(self, name: str, value: np.ndarray) -> Node:
        if name not in self._constants:
            self._constants[name] = ops.constant(np.ascontiguousarray(value, dtype=np.float32))
        return self._constants[name]


def _split(states: Node, heads: int) -> Node:
    """States [batch, length, hidden] as [batch, heads, length, hidden / heads]."""
    return ops.transpose(ops.reshape(states, _ints(0, 0, heads, -1), True), _ints(0, 2, 1, 3))


def _ints(*values: int) -> Node:
    return ops.constant(np.array(values, dtype=np.int32))


def _int(value: int) -> Node:
    return ops.constant(np.int32(value))


def _float(value: float) -> Node:
    return ops.constant(np.float32(value))
