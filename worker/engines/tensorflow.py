"""The TensorFlow engine: a Keras model under one tf.function, which XLA compiles on GPUs."""

from pathlib import Path
from typing import Any

import numpy as np

from worker.backend import tf
from worker.checkpoints.classifier import Classifier, input_names
from worker.checkpoints.compute import computing_in, has_gpu
from worker.checkpoints.load import load_classifier
from worker.engines.base import Batch, BatchCosts

#: Finer than so many rows, and tokens of each, no two shapes differ that XLA compiles.
_ROWS, _TOKENS = 4, 8
#: Any count of rows, any length: one trace serves every batch.
_ANY_BATCH = tf.TensorSpec((None, None), tf.int32)


class ModelEngine:
    """Inference with a model that is there, with the weights it has at each batch."""

    costs = BatchCosts()

    def __init__(self, model: Classifier) -> None:
        """The first batch pays for the one trace."""
        self._model = model
        self._names = input_names(self._model.family)
        self._run = tf.function(self._forward, input_signature=[_ANY_BATCH] * len(self._names))

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch."""
        return self._run(*(getattr(batch, name) for name in self._names)).numpy()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the classes, in the order of the logits."""
        return self._model.labels

    @property
    def problem_type(self) -> str:
        """What its logits mean, as `probabilities()` takes it."""
        return self._model.problem_type

    @property
    def traces(self) -> int:
        """How many times the model was traced: 1 after the first batch, and never more."""
        return self._run.experimental_get_tracing_count()

    def _forward(self, *inputs: Any) -> Any:
        return self._model(dict(zip(self._names, inputs, strict=True)), training=False)


class TensorFlowEngine(ModelEngine):
    """Inference with TensorFlow in float32 or bfloat16, on whatever device it places the model."""

    def __init__(self, directory: Path, precision: str = "float32", *, compiled: bool | None = None) -> None:
        """Load the checkpoint; raises CheckpointLoadError. None compiles with XLA where there is a GPU."""
        with computing_in(precision):
            super().__init__(load_classifier(directory))
        self._is_compiled = has_gpu() if compiled is None else compiled
        if self._is_compiled:
            self._run = tf.function(self._forward, input_signature=self._run.input_signature, jit_compile=True)

    def logits(self, batch: Batch) -> np.ndarray:
        """As above. XLA compiles each shape that it meets, which takes seconds: batches are padded to few of them."""
        if not self._is_compiled:
            return super().logits(batch)
        return super().logits(bucketed(batch, self._model.settings.positions))[: len(batch.token_ids)]


def bucketed(batch: Batch, most_tokens: int) -> Batch:
    """The batch with rows and tokens of padding, up to the next shape of those that batches are given.

    Rows have at most so many tokens, for which the model has positions.
    """
    rows, tokens = batch.token_ids.shape
    more = ((0, _bucket(rows, _ROWS) - rows), (0, min(_bucket(tokens, _TOKENS), most_tokens) - tokens))
    # Ids of 0 under a mask of 0: whatever the vocabulary has there is read by nobody.
    return Batch(*(np.pad(part, more) for part in (batch.token_ids, batch.segment_ids, batch.padding_mask)))


def _bucket(size: int, finest: int) -> int:
    """The next multiple of a quarter of the power of two below, so that at most a fifth is padding, or of `finest`."""
    step = max(finest, 2 ** (max(size - 1, 1).bit_length() - 1) // 4)
    return -(-size // step) * step
