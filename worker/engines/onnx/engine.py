"""The ONNX Runtime engine: a graph on the cores that this process may use."""

import os
from pathlib import Path

import numpy as np
import onnxruntime

from worker.engines.base import Batch, BatchCosts, check_vocabulary

#: Where a graph says how many embeddings it has.
VOCABULARY = "reviewmill_vocabulary"
#: What ONNX Runtime says, in errors of several kinds, when the machine has no memory left.
_NO_MEMORY = ("Failed to allocate", "bad_alloc")
_ERRORS_ONLY = 3


class OnnxEngine:
    """Inference on the CPU, in the number formats that stand in the graph."""

    costs = BatchCosts()

    def __init__(self, graph: Path) -> None:
        """Load the file of a graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.log_severity_level = _ERRORS_ONLY
        # Shapes differ from batch to batch: a plan made for one would be of use to no other.
        options.enable_mem_pattern = False
        # Threads that wait by spinning take the cores from tokenizing and writing, and from whoever shares them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._names = [one.name for one in self._session.get_inputs()]
        self._vocabulary = int(self._session.get_modelmeta().custom_metadata_map[VOCABULARY])

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch.

        Raises TokenBeyondVocabulary, and MemoryError where the machine has no room for the batch.
        """
        check_vocabulary(batch, self._vocabulary)
        try:
            return self._session.run(None, {name: getattr(batch, name) for name in self._names})[0]
        except Exception as error:  # they have no ancestor of their own
            if not any(words in str(error) for words in _NO_MEMORY):
                raise
            raise MemoryError(f"no memory for {batch.token_ids.size:,} tokens in one batch") from error
