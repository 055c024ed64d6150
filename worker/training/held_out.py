"""What a saved model says of the examples held out, and how much of it is right."""

from collections.abc import Callable

import numpy as np

from db.checkpoint import MULTI_LABEL, REGRESSION
from worker.batching import collate, cut_batches
from worker.engines.base import Engine
from worker.errors import TrainingError
from worker.probabilities import probabilities
from worker.training.fit import Encoding


def infer_examples(
    engine: Engine, data: Encoding, problem_type: str, padding_id: int, token_budget: int, check: Callable[[], None]
) -> np.ndarray:
    """The values of examples, float32 [examples, labels], in their order: probabilities, or numbers of a regression.

    There must be examples. What `check`, called before every batch, raises ends it. Raises TrainingError for a model
    whose numbers are not finite.
    """
    logits: dict[int, np.ndarray] = {}
    for indices in cut_batches([one.length for one in data.encoded], token_budget):
        check()
        batch = collate([data.encoded[index] for index in indices], padding_id)
        logits.update(zip(indices, engine.logits(batch), strict=True))
    whole = np.stack([logits[index] for index in range(len(data.encoded))])
    if not np.isfinite(whole).all():
        raise TrainingError("the trained model's numbers are not finite; lower --learning-rate, or scale the target")
    return probabilities(whole, problem_type)


def measure_values(values: np.ndarray, targets: np.ndarray, problem_type: str) -> dict[str, float]:
    """How good values [examples, labels] are against targets, as worker.training.targets encodes them.

    `accuracy` is the share of examples with the right label, of multi-label ones with all labels right at one half;
    a regression has `mae`, its mean absolute error, in the target's own unit.
    """
    if problem_type == REGRESSION:
        return {"mae": float(np.abs(values - targets).mean())}
    if problem_type == MULTI_LABEL:
        return {"accuracy": float(((values >= 0.5) == (targets >= 0.5)).all(axis=1).mean())}
    return {"accuracy": float((values.argmax(axis=1) == targets).mean())}
