"""A checkpoint's forward pass as an ONNX graph, in the fused operations that ONNX Runtime has for it.

In int8, weights are quantized here, a scale for each column; states as they come, a scale for each product (dynamic
quantization), so nothing is calibrated. Everything between two products, and the head, stays float32.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from worker.checkpoints.weights import Weights
from worker.engines.cpu.forward import Forward, Parameters
from worker.engines.onnx.engine import VOCABULARY

#: Operations of ONNX Runtime's own, beside those of the standard.
_OWN = "com.microsoft"
_OPSETS = {"": 17, _OWN: 1}
_IR_VERSION = 9
#: Weights are 7 bits wide. Without VNNI, two products of 8-bit numbers are summed in 16 bits, and 8-bit weights would
#: overflow there. Source: "Quantize ONNX models" in ONNX Runtime's documentation, on reduce_range.
_LARGEST_WEIGHT = 63
#: hidden_act of a checkpoint -> the operation, and the set it is of.
_ACTIVATIONS: Mapping[str, tuple[str, str]] = {
    "gelu": ("Gelu", _OWN),
    "gelu_python": ("Gelu", _OWN),
    "gelu_new": ("FastGelu", _OWN),
    "gelu_fast": ("FastGelu", _OWN),
    "gelu_pytorch_tanh": ("FastGelu", _OWN),
    "relu": ("Relu", ""),
    "silu": ("QuickGelu", _OWN),  # x * sigmoid(alpha * x), with an alpha of 1
    "swish": ("QuickGelu", _OWN),
    "tanh": ("Tanh", ""),
}


def write_graph(weights: Weights, path: Path, quantizes: Callable[[str], bool]) -> None:
    """Write the graph; seen whole or not at all. `quantizes` tells of a dense layer's name whether it is to be int8.

    int32 [batch, length] `token_ids`, `padding_mask` and, where the family has them, `segment_ids` go in; float32
    logits [batch, classes] come out. Raises CheckpointLoadError and OSError.
    """
    names = ["token_ids", *(["segment_ids"] if weights.family.segments else []), "padding_mask"]
    operations = _Operations(quantizes)
    logits = Forward(weights, operations).logits()
    graph = helper.make_graph(
        operations.nodes,
        "classifier",
        [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "length"]) for name in names],
        [helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["batch", "classes"])],
        list(operations.constants.values()),
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    helper.set_model_props(model, {VOCABULARY: str(weights.settings.vocabulary)})
    partial = path.with_name(f".{path.name}")
    onnx.save(model, partial)
    partial.rename(path)


class _Operations:
    """worker.engines.cpu.forward.Operations in ONNX Runtime's operations; a node is the name of what it yields."""

    def __init__(self, quantizes: Callable[[str], bool]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._quantizes = quantizes
        self._quantized: dict[str, list[str]] = {}
        self._lengths: str | None = None

    def token_ids(self) -> str:
        return "token_ids"

    def segment_ids(self) -> str:
        return "segment_ids"

    def places(self) -> str:
        length = self._do("Squeeze", self._do("Shape", "token_ids", start=1, end=2))
        numbers = self._do("Range", self._number(0), length, self._number(1))
        return self._do("Unsqueeze", numbers, self._axis(0))

    def places_after(self, padding_id: int) -> str:
        padding = self._constant("padding id", np.int32(padding_id))
        real = self._cast(self._do("Not", self._do("Equal", "token_ids", padding)), TensorProto.INT32)
        counted = self._do("CumSum", real, self._number(1))
        return self._do("Add", self._do("Mul", counted, real), padding)

    def embed(self, name: str, table: np.ndarray, indices: str) -> str:
        return self._do("Gather", self._constant(name, table), indices)

    def add(self, x: str, y: str) -> str:
        return self._do("Add", x, y)

    def normalize(self, x: str, norm: Parameters, epsilon: float, skipped: str | None = None) -> str:
        weight, bias = self._constant(f"{norm.name}.weight", norm.weight), self._bias(norm)
        if skipped is None:
            return self._do("LayerNormalization", x, weight, bias, epsilon=epsilon)
        return self._do("SkipLayerNormalization", x, skipped, weight, bias, domain=_OWN, epsilon=epsilon)

    def dense(self, x: str, layer: Parameters) -> str:
        return self._dense_int8(x, layer) if self._quantizes(layer.name) else self._dense_float32(x, layer)

    def _dense_float32(self, x: str, layer: Parameters) -> str:
        # Transposed here: Gemm, which could, wants two dimensions.
        weight = self._constant(f"{layer.name}.transposed", layer.weight.T)
        return self._do("Add", self._do("MatMul", x, weight), self._bias(layer))

    def _dense_int8(self, x: str, layer: Parameters) -> str:
        states, scale, zero = self._quantize(x)
        weight, weight_scale, weight_zero = self._quantize_weight(layer)
        return self._do(
            "MatMulIntegerToFloat",
            *(states, weight, scale, weight_scale, zero, weight_zero, self._bias(layer)),
            domain=_OWN,
        )

    def dense_of_head(self, x: str, layer: Parameters) -> str:
        return self._do("Gemm", x, self._constant(f"{layer.name}.weight", layer.weight), self._bias(layer), transB=1)

    def attend(self, query: str, key: str, value: str, heads: int) -> str:
        self._lengths = self._lengths or self._do("ReduceSum", "padding_mask", self._axis(1), keepdims=0)
        # No bias; the lengths of the rows stand for a mask, for padding is on the right.
        given = (query, key, value, "", self._lengths)
        return self._do("MultiHeadAttention", *given, domain=_OWN, num_heads=heads, scale=1.0)

    def activate(self, name: str, x: str) -> str:
        operation, domain = _ACTIVATIONS[name]
        alpha = {"alpha": 1.0} if operation == "QuickGelu" else {}
        return self._do(operation, x, domain=domain, **alpha)

    def first_token(self, x: str) -> str:
        return self._do("Gather", x, self._axis(0), axis=1)  # a list of one: the length stays

    def without_length(self, x: str) -> str:
        return self._do("Squeeze", x, self._axis(1))

    def _quantize(self, x: str) -> list[str]:
        """Once for all products of the same states: query, key and value."""
        if x not in self._quantized:
            parts = [f"{x} quantized", f"{x} scale", f"{x} zero"]
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], parts))
            self._quantized[x] = parts
        return self._quantized[x]

    def _quantize_weight(self, layer: Parameters) -> tuple[str, str, str]:
        """The weights as int8 [in, out], the columns' scales float32 [out] and zeros int8 [out]."""
        names = (f"{layer.name}.int8", f"{layer.name}.scale", f"{layer.name}.zero")
        if names[0] not in self.constants:
            scales = np.maximum(np.abs(layer.weight).max(axis=1), np.finfo(np.float32).tiny) / _LARGEST_WEIGHT
            values = np.rint(layer.weight / scales[:, None]).T.astype(np.int8)
            for name, value in zip(names, (values, scales, np.zeros(len(scales), np.int8)), strict=True):
                self._constant(name, value)
        return names

    def _bias(self, layer: Parameters) -> str:
        return self._constant(f"{layer.name}.bias", layer.bias)

    def _cast(self, x: str, kind: int) -> str:
        return self._do("Cast", x, to=kind)

    def _number(self, value: int) -> str:
        return self._constant(f"{value}", np.int64(value))

    def _axis(self, value: int) -> str:
        return self._constant(f"[{value}]", np.array([value], np.int64))

    def _constant(self, name: str, value: Any) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        return name

    def _do(self, operation: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{operation} {len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [output], domain=domain, **attributes))
        return output
