"""The OpenVINO engine: a compiled graph on the cores that this process may use."""

import os
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
#: Batches are dealt out to so many cores at most, each taking more than one where there are more.
_MOST_STREAMS = 8
#: What kernels for a new shape take, in tokens. Measured on two cores they take longer, 10 to 15 ms, but in a long job
#: they serve again and again, and more would have more than a twentieth of the batches be padding.
_SHAPE_COSTS_TOKENS = 50


class OpenVINOEngine:
    """Inference on the CPU. An int8 graph computes what is not int8 in `compute`.

    Every core infers rows of its own: cores that share a row wait for each other at each operation. Measured on two
    cores in int8, with shapes met before: 5 to 8% faster.
    """

    def __init__(self, graph: ov.Model | Path, compute: str = "float32") -> None:
        """Compile a graph, or the file of one; `compute` is float32 or bfloat16."""
        core = ov.Core()
        model = core.read_model(graph) if isinstance(graph, Path) else graph
        self._vocabulary = int(model.get_rt_info(VOCABULARY).value)
        threads = len(os.sched_getaffinity(0))
        self._streams = min(threads, _MOST_STREAMS)
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[compute],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": self._streams,
            # The cores are those of the process; two workers of one machine must not pin to the same.
            "ENABLE_CPU_PINNING": False,
        }
        self._weights = graph.with_suffix(".bin") if isinstance(graph, Path) else None
        self._compile = lambda: core.compile_model(model, "CPU", settings)
        self._requests: list[Any] = self._new_requests()
        self._names = [port.get_any_name() for port in self._requests[0].get_compiled_model().inputs]
        self.costs = BatchCosts(shape=_SHAPE_COSTS_TOKENS, rows=self._streams)

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch.

        Raises TokenBeyondVocabulary, and MemoryError where the machine has no room for the batch.
        """
        check_vocabulary(batch, self._vocabulary)
        arrays = [getattr(batch, name) for name in self._names]
        is_fresh = not self._requests
        try:
            return self._infer(arrays)
        except MemoryError:
            # Buffers and kernels for every shape so far were kept: without them there may be room.
            if is_fresh:
                raise
        return self._infer(arrays)

    def _new_requests(self) -> list[Any]:
        compiled = self._compile()
        requests = [compiled.create_infer_request() for _ in range(self._streams)]
        if self._weights is not None:
            forget_pages(self._weights)
        return requests

    def _infer(self, arrays: list[np.ndarray]) -> np.ndarray:
        try:
            self._requests = self._requests or self._new_requests()
            return _infer_at_once(self._requests, arrays)
        except RuntimeError as error:
            if not any(words in str(error) for words in _NO_MEMORY):
                raise
            self._requests = []
            raise MemoryError(f"no memory for {arrays[0].size:,} tokens in one batch") from error


def _infer_at_once(requests: list[Any], arrays: list[np.ndarray]) -> np.ndarray:
    """Deal the rows out to the requests, in runs of one size, and put the logits together again."""
    rows = len(arrays[0])
    size = -(-rows // len(requests))
    # Requests of one shape share what is prepared for it: the last run is filled up with its own last row.
    places = [range(first, first + size) for first in range(0, rows, size)]
    parts = [[_rows(array, place) for array in arrays] for place in places]
    started: list[Any] = []
    try:
        for request, part in zip(requests, parts, strict=False):
            request.start_async(part, share_inputs=True)
            started.append(request)
    finally:
        # None may go on computing when its batch is given up.
        errors = [error for request in started if (error := _ended(request)) is not None]
    if errors:
        raise errors[0]
    return np.concatenate([request.get_output_tensor(0).data for request in started])[:rows]


def _rows(array: np.ndarray, place: range) -> np.ndarray:
    missing = place.stop - len(array)
    found = array[place.start : place.stop]
    return found if missing <= 0 else np.concatenate([found, array[-1:].repeat(missing, axis=0)])


def _ended(request: Any) -> RuntimeError | None:
    try:
        request.wait()
    except RuntimeError as error:
        return error
    return None


def compute_formats() -> list[str]:
    """The number formats that this CPU has instructions for, of float32, bfloat16 and int8."""
    capable = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {"FP32": "float32", "BF16": "bfloat16", "INT8": "int8"}
    return [name for told, name in names.items() if told in capable]
