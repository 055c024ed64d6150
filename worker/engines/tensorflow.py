"""The TensorFlow engine: a Keras model under one tf.function."""

from pathlib import Path
from typing import Any

import numpy as np

from worker.backend import tf
from worker.checkpoints.classifier import Classifier, input_names
from worker.checkpoints.compute import computing_in
from worker.checkpoints.load import load_classifier
from worker.engines.base import Batch, BatchCosts

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

    def __init__(self, directory: Path, precision: str = "float32") -> None:
        """Load the checkpoint; raises CheckpointLoadError."""
        with computing_in(precision):
            super().__init__(load_classifier(directory))
