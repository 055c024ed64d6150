"""Keras `fit` for a classifier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from db.training import TrainingExample
from worker.backend import keras
from worker.checkpoints.classifier import Classifier, input_names
from worker.checkpoints.tokenizer import Encoded, tokenize
from worker.training.batches import training_data
from worker.training.class_weights import example_weights
from worker.training.distillation import DistillationLoss, taught_metrics_of
from worker.training.learning_rate import WarmUpThenDecay
from worker.training.losses import loss_of, metrics_of
from worker.training.optimizer import FusedAdamW
from worker.training.targets import encode_targets

_WARM_UP_SHARE = 0.1
_WEIGHT_DECAY = 0.01
#: The usual bound for BERT-like models: a rare bad batch then cannot throw the weights away.
_GRADIENT_NORM = 1.0
#: Texts tokenized between two looks whether to go on: a fraction of a second's work.
_TEXTS_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class Encoding:
    """Tokenized examples and, for each, what is to be said of it."""

    encoded: list[Encoded]
    targets: np.ndarray  # [examples, ...], see worker.training.targets and .distillation


def encode_examples(
    tokenizer: Any,
    examples: Sequence[TrainingExample],
    labels: Sequence[str],
    problem_type: str,
    max_length: int,
    check: Callable[[], None],
) -> Encoding:
    """Tokenize examples that all have a label, as `tokenize_examples` does, and put their labels in numbers."""
    told = [one.label for one in examples if one.label is not None]
    encoded = tokenize_examples(tokenizer, examples, max_length, check)
    return Encoding(encoded, encode_targets(told, labels, problem_type))


def tokenize_examples(
    tokenizer: Any, examples: Sequence[TrainingExample], max_length: int, check: Callable[[], None]
) -> list[Encoded]:
    """Tokenize examples, cut to `max_length` tokens. What `check`, called now and then, raises ends it."""
    encoded: list[Encoded] = []
    for start in range(0, len(examples), _TEXTS_AT_A_TIME):
        check()
        some = examples[start : start + _TEXTS_AT_A_TIME]
        encoded += tokenize(tokenizer, [one.text for one in some], [one.pair for one in some], max_length)
    return encoded


def compile_classifier(model: Classifier, params: Mapping[str, Any]) -> None:
    """Give the model its loss and its optimizer, with all the optimizer's variables, which a state restores.

    AdamW, warm-up and linear decay, clipped gradients. Of several batches that make a step, the mean gradient counts.
    """
    accumulate = params["accumulate"]
    optimizer = FusedAdamW(
        WarmUpThenDecay(params["learning_rate"], params["steps"], _WARM_UP_SHARE, accumulate),
        weight_decay=_WEIGHT_DECAY,
        global_clipnorm=_GRADIENT_NORM,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    optimizer.build(model.trainable_variables)
    loss, metrics = _aim(model.problem_type, params.get("teacher"))
    # Lengths differ from batch to batch, and XLA would compile each anew.
    model.compile(optimizer, loss, metrics=metrics, jit_compile=False)


def _aim(problem_type: str, teacher: Mapping[str, Any] | None) -> tuple[keras.losses.Loss, list[Any]]:
    """What is made small, and what the curve shows beside it: of labels, or of what a teacher says."""
    if teacher is None:
        return loss_of(problem_type), metrics_of(problem_type)
    return DistillationLoss(problem_type, teacher["temperature"]), taught_metrics_of(problem_type)


def fit_classifier(
    model: Classifier,
    data: Encoding,
    params: Mapping[str, Any],
    padding_id: int,
    callbacks: Sequence[keras.callbacks.Callback],
    first_step: int = 0,
) -> None:
    """Train the compiled model in place, from `first_step`, counted from 0, to the last; nothing if there is none."""
    if first_step >= params["steps"]:
        return
    dataset = training_data(
        data.encoded,
        data.targets,
        example_weights(data.targets, params["class_weights"]),
        batch_size=params["batch_size"],
        accumulate=params["accumulate"],
        epochs=params["epochs"],
        first_step=first_step,
        seed=params["seed"],
        padding_id=padding_id,
        input_names=input_names(model.family),
    )
    # A metric makes its variables when it first sees numbers. If that were in the first step, TensorFlow would trace
    # the step a second time, which takes seconds.
    model.compute_metrics(None, data.targets[:1], keras.ops.zeros((1, len(model.labels))))
    # One Keras epoch over all of ours keeps steps and the running figures in one line.
    batches = (params["steps"] - first_step) * params["accumulate"]
    model.fit(dataset, steps_per_epoch=batches, shuffle=False, verbose=0, callbacks=list(callbacks))
