"""The OpenVINO engine: a compiled graph on the cores that this process may use."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from worker.engines.base import Batch, BatchCosts, check_vocabulary
from worker.engines.openvino.mapped import forget_pages

#: Where a graph says how many embeddings it has.
VOCABULARY = ["reviewmill", "vocabulary"]
#: OpenVINO's names of the number formats that a graph's float32 operations are computed in.
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
#: What OpenVINO says, in an error of no kind of its own, when the machine has no memory left.
_NO_MEMORY = ("Failed to allocate", "can't alloc", "bad_alloc")
#: So many batches are computed at once at most; where there are more cores, several compute one.
_MOST_STREAMS = 8
#: What kernels for a new shape take, in tokens. Measured on two cores they take longer, 10 to 15 ms, but in a long job
#: they serve again and again, and more would have more than a twentieth of the batches be padding.
_SHAPE_COSTS_TOKENS = 50


class OpenVINOEngine:
    """Inference on the CPU. An int8 graph computes what is not int8 in `compute`.

    Every core infers batches of its own: cores that share one wait for each other at each operation. Measured on two
    cores in int8, with shapes met before: 5 to 8% faster.
    """

    costs = BatchCosts(shape=_SHAPE_COSTS_TOKENS)

    def __init__(self, graph: ov.Model | Path, compute: str = "float32") -> None:
        """Compile a graph, or the file of one; `compute` is float32 or bfloat16."""
        core = ov.Core()
        model = core.read_model(graph) if isinstance(graph, Path) else graph
        self._vocabulary = int(model.get_rt_info(VOCABULARY).value)
        threads = len(os.sched_getaffinity(0))
        self.streams = min(threads, _MOST_STREAMS)
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[compute],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": self.streams,
            # The cores are those of the process; two workers of one machine must not pin to the same.
            "ENABLE_CPU_PINNING": False,
        }
        self._weights = graph.with_suffix(".bin") if isinstance(graph, Path) else None
        self._compile = lambda: core.compile_model(model, "CPU", settings)
        self._compiling = threading.Lock()
        self._requests: _Requests | None = self._new_requests()
        self._names = self._requests.input_names()

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch.

        Raises TokenBeyondVocabulary, and MemoryError where the machine has no room for the batch.
        """
        check_vocabulary(batch, self._vocabulary)
        arrays = [getattr(batch, name) for name in self._names]
        is_fresh = self._requests is None
        try:
            return self._infer(arrays)
        except MemoryError:
            # Buffers and kernels for every shape so far were kept: without them there may be room.
            if is_fresh:
                raise
        return self._infer(arrays)

    def _infer(self, arrays: list[np.ndarray]) -> np.ndarray:
        try:
            return self._compiled().infer(arrays)
        except RuntimeError as error:
            if not any(words in str(error) for words in _NO_MEMORY):
                raise
            self._requests = None
            raise MemoryError(f"no memory for {arrays[0].size:,} tokens in one batch") from error

    def _compiled(self) -> "_Requests":
        with self._compiling:
            requests = self._requests = self._requests or self._new_requests()
            return requests

    def _new_requests(self) -> "_Requests":
        requests = _Requests(self._compile())
        if self._weights is not None:
            forget_pages(self._weights)
        return requests


class _Requests:
    """The infer requests of one compiled graph, one for each batch that is computed or waits for a stream."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        # A list gives and takes its last in one step, whatever other threads do.
        self._idle: list[Any] = [compiled.create_infer_request()]

    def input_names(self) -> list[str]:
        """The names of the graph's inputs, in its order."""
        return [port.get_any_name() for port in self._compiled.inputs]

    def infer(self, arrays: list[np.ndarray]) -> np.ndarray:
        """The first output, a copy. Raises RuntimeError, after which the request is used no more."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.start_async(arrays, share_inputs=True)
        request.wait()
        logits = request.get_output_tensor(0).data.copy()
        self._idle.append(request)
        return logits


def compute_formats() -> list[str]:
    """The number formats that this CPU has instructions for, of float32, bfloat16 and int8."""
    capable = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {"FP32": "float32", "BF16": "bfloat16", "INT8": "int8"}
    return [name for told, name in names.items() if told in capable]
