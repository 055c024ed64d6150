"""The OpenVINO engine: a compiled graph on the cores that this process may use."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from worker.engines.base import Batch, BatchCosts, check_vocabulary
from worker.engines.openvino.mapped import forget_pages
from worker.engines.openvino.requests import Requests, Started

#: Where a graph says how many embeddings it has.
VOCABULARY = ["reviewmill", "vocabulary"]
#: OpenVINO's names of the number formats that a graph's float32 operations are computed in.
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
#: What OpenVINO says, in an error of no kind of its own, when the machine has no memory left.
_NO_MEMORY = ("Failed to allocate", "can't alloc", "bad_alloc")
#: So many batches are computed at once at most; where there are more cores, several compute one.
_MOST_STREAMS = 8
#: What kernels take, for a new number of tokens and for a new shape. Measured on two cores it is 10 to 15 ms together,
#: in which those infer some 300 tokens; but memory, which they keep, is dearer than time.
COSTS = BatchCosts(size=720, shape=480)


class OpenVINOEngine:
    """Inference on the CPU. An int8 graph computes what is not int8 in `compute`.

    Every core infers batches of its own: cores that share one wait for each other at each operation, and for one that
    something else took for a moment. Measured on two cores in int8, with shapes met before: 5 to 8% faster.
    Several threads may use it.
    """

    costs = COSTS

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
        self._making = threading.Lock()
        self._requests: Requests | None = self._new_requests()
        self._names = self._requests.input_names

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch.

        Raises TokenBeyondVocabulary, and MemoryError where the machine has no room for the batch.
        """
        return self.start(batch)()

    def start(self, batch: Batch) -> Callable[[], np.ndarray]:
        """Begin with a batch; what is returned waits for its logits and returns them, or raises, as above."""
        check_vocabulary(batch, self._vocabulary)
        arrays = [getattr(batch, name) for name in self._names]
        is_fresh = self._requests is None
        started = self._start(arrays)

        def logits() -> np.ndarray:
            try:
                return self._end(started, arrays)
            except MemoryError:
                # Buffers and kernels for every shape so far were kept: without them there may be room.
                if is_fresh:
                    raise
            return self._end(self._start(arrays), arrays)

        return logits

    def _start(self, arrays: list[np.ndarray]) -> Started:
        with self._making:
            requests = self._requests = self._requests or self._new_requests()
        return requests.start(arrays)

    def _end(self, started: Started, arrays: list[np.ndarray]) -> np.ndarray:
        try:
            return started.output()
        except RuntimeError as error:
            if not any(words in str(error) for words in _NO_MEMORY):
                raise
            self._let_go()
            raise MemoryError(f"no memory for {arrays[0].size:,} tokens in one batch") from error

    def _let_go(self) -> None:
        """Give up all that was kept, when what is computed with it has ended."""
        with self._making:
            requests, self._requests = self._requests, None
        if requests is not None:
            requests.drain()

    def _new_requests(self) -> Requests:
        # One more than there are streams: each finds its next batch at once.
        requests = Requests(self._compile(), self.streams + 1)
        if self._weights is not None:
            forget_pages(self._weights)
        return requests


def compute_formats() -> list[str]:
    """The number formats that this CPU has instructions for, of float32, bfloat16 and int8."""
    capable = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {"FP32": "float32", "BF16": "bfloat16", "INT8": "int8"}
    return [name for told, name in names.items() if told in capable]
