"""What a model says of examples whose labels are known, and what the registry is told of that."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.probabilities import probabilities
from worker.training.evaluation import calibration_error, evaluate
from worker.training.mistakes import worst_mistakes


@dataclass(frozen=True, slots=True)
class Answers:
    """Logits, float32 [examples, classes], beside what is right: targets as `evaluate` takes them."""

    review_ids: list[int]
    targets: np.ndarray
    logits: np.ndarray
    problem_type: str


def describe(answers: Answers, split: str, labels: list[str], temperature: float | None) -> dict[str, Any]:
    """The metrics of a model version: each score under the split's name, and `evaluation` with what is told by label.

    With the temperature that the logits were divided by, also the calibration error without it.
    """
    kind = answers.problem_type
    values = probabilities(answers.logits, kind)
    found = evaluate(values, answers.targets, labels, kind)
    scores = dict(found.scores)
    if temperature is not None:
        scores["ece_uncalibrated"] = calibration_error(
            probabilities(answers.logits * temperature, kind), answers.targets
        )
    mistakes = worst_mistakes(values, answers.targets, answers.review_ids, labels, kind)
    evaluation = {"split": split, "labels": labels, **found.details, "mistakes": mistakes}
    return {f"{split}_{name}": value for name, value in scores.items()} | {"evaluation": evaluation}
