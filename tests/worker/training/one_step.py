"""One step of training, to see what it changes."""

import numpy as np

from worker.checkpoints.classifier import Classifier, input_names
from worker.training.fit import compile_classifier

_TOKENS = np.int32([[2, 7, 9, 3], [2, 8, 3, 0]])
#: Two short texts; a model takes those that it has names for.
INPUTS = {"token_ids": _TOKENS, "padding_mask": np.int32(_TOKENS > 0), "segment_ids": np.zeros_like(_TOKENS)}


def train_one_step(model: Classifier) -> None:
    """Train on one batch, at a rate that moves whatever can move."""
    compile_classifier(model, {"learning_rate": 0.1, "steps": 1, "accumulate": 1})
    inputs = {name: INPUTS[name] for name in input_names(model.family)}
    model.fit(inputs, np.int32([0, 1]), batch_size=2, verbose=0)
