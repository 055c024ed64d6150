"""Keras `fit` for a classifier, and its accuracy on held-out examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from db.training import TrainingExample
from worker.backend import keras
from worker.batching import collate, cut_batches
from worker.checkpoints.classifier import Classifier, input_names
from worker.checkpoints.tokenizer import Encoded, tokenize
from worker.engines.base import Engine
from worker.training.batches import training_data
from worker.training.learning_rate import WarmUpThenDecay

_WARM_UP_SHARE = 0.1
_WEIGHT_DECAY = 0.01
#: The usual bound for BERT-like models: a rare bad batch then cannot throw the weights away.
_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Encoding:
    """Tokenized examples and, for each, the index of its label."""

    encoded: list[Encoded]
    targets: np.ndarray  # int32 [examples]


def encode_examples(
    tokenizer: Any, examples: Sequence[TrainingExample], labels: Sequence[str], max_length: int
) -> Encoding:
    """Tokenize examples, cut to `max_length` tokens."""
    texts, pairs = [one.text for one in examples], [one.pair for one in examples]
    index = {label: at for at, label in enumerate(labels)}
    targets = np.array([index[one.label] for one in examples], np.int32)
    return Encoding(tokenize(tokenizer, texts, pairs, max_length), targets)


def fit_classifier(
    model: Classifier,
    data: Encoding,
    params: dict[str, Any],
    padding_id: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train the model in place: AdamW, warm-up and linear decay, clipped gradients."""
    steps = params["steps"]
    dataset = training_data(
        data.encoded,
        data.targets,
        batch_size=params["batch_size"],
        epochs=params["epochs"],
        seed=params["seed"],
        padding_id=padding_id,
        input_names=input_names(model.family),
    )
    optimizer = keras.optimizers.AdamW(
        WarmUpThenDecay(params["learning_rate"], steps, _WARM_UP_SHARE),
        weight_decay=_WEIGHT_DECAY,
        global_clipnorm=_GRADIENT_NORM,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Lengths differ from batch to batch, and XLA would compile each anew.
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    # One Keras epoch over all of ours keeps steps and the running figures in one line.
    model.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=list(callbacks))


def held_out_accuracy(engine: Engine, data: Encoding, padding_id: int, token_budget: int) -> float | None:
    """The share of examples whose label the engine finds, 0 to 1; None without examples."""
    if not data.encoded:
        return None
    right = 0
    for indices in cut_batches([one.length for one in data.encoded], token_budget):
        logits = engine.logits(collate([data.encoded[index] for index in indices], padding_id))
        right += int((logits.argmax(axis=1) == data.targets[indices]).sum())
    return right / len(data.encoded)
