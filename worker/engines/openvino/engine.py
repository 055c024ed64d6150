"""The OpenVINO engine: a compiled graph on the cores that this process may use."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from worker.engines.base import Batch, check_vocabulary
from worker.engines.openvino.mapped import forget_pages

#: Where a graph says how many embeddings it has.
VOCABULARY = ["reviewmill", "vocabulary"]
#: OpenVINO's names of the number formats that a graph's float32 operations are computed in.
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
#: What OpenVINO says, in an error of no kind of its own, when the machine has no memory left.
_NO_MEMORY = ("Failed to allocate", "can't alloc", "bad_alloc")


class OpenVINOEngine:
    """Inference on the CPU. An int8 graph computes what is not int8 in `compute`."""

    def __init__(self, graph: ov.Model | Path, compute: str = "float32") -> None:
        """Compile a graph, or the file of one; `compute` is float32 or bfloat16."""
        core = ov.Core()
        model = core.read_model(graph) if isinstance(graph, Path) else graph
        self._vocabulary = int(model.get_rt_info(VOCABULARY).value)
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[compute],
            "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
            "NUM_STREAMS": 1,
            # The cores are those of the process; two workers of one machine must not pin to the same.
            "ENABLE_CPU_PINNING": False,
        }
        self._weights = graph.with_suffix(".bin") if isinstance(graph, Path) else None
        self._compile = lambda: core.compile_model(model, "CPU", settings)
        self._request: Any = self._new_request()
        self._names = [port.get_any_name() for port in self._request.get_compiled_model().inputs]

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch.

        Raises TokenBeyondVocabulary, and MemoryError where the machine has no room for the batch.
        """
        check_vocabulary(batch, self._vocabulary)
        arrays = [getattr(batch, name) for name in self._names]
        is_fresh = self._request is None
        try:
            return self._infer(arrays)
        except MemoryError:
            # Buffers and kernels for every shape so far were kept: without them there may be room.
            if is_fresh:
                raise
        return self._infer(arrays)

    def _new_request(self) -> Any:
        request = self._compile().create_infer_request()
        if self._weights is not None:
            forget_pages(self._weights)
        return request

    def _infer(self, arrays: list[np.ndarray]) -> np.ndarray:
        try:
            self._request = self._request or self._new_request()
            return np.array(self._request.infer(arrays, share_inputs=True)[0])
        except RuntimeError as error:
            if not any(words in str(error) for words in _NO_MEMORY):
                raise
            self._request = None
            raise MemoryError(f"no memory for {arrays[0].size:,} tokens in one batch") from error


def compute_formats() -> list[str]:
    """The number formats that this CPU has instructions for, of float32, bfloat16 and int8."""
    capable = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {"FP32": "float32", "BF16": "bfloat16", "INT8": "int8"}
    return [name for told, name in names.items() if told in capable]
