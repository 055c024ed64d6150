"""How a model does on its validation examples while it is trained."""

from collections.abc import Callable
from typing import Any

from db.training import STOPPING_METRICS
from worker.checkpoints.classifier import Classifier
from worker.engines.tensorflow import ModelEngine
from worker.probabilities import probabilities
from worker.training.evaluation import evaluate
from worker.training.fit import Encoding
from worker.training.held_out import infer_logits
from worker.training.losses import loss_of


class Validation:
    """Examples to measure a model on, in batches of at most `token_budget` tokens, between steps of its training.

    What `check`, called before every batch, raises ends it.
    """

    def __init__(
        self, model: Classifier, data: Encoding, padding_id: int, token_budget: int, check: Callable[[], None]
    ) -> None:
        self._engine = ModelEngine(model)
        self._data = data
        self._padding_id = padding_id
        self._token_budget = token_budget
        self._check = check

    def measure(self) -> dict[str, float]:
        """The figures of STOPPING_METRICS, in the number format of the training; none without examples.

        The loss is the mean over the examples, whatever they weigh in training. Raises TrainingError where the
        model's numbers are not finite.
        """
        if not self._data.encoded:
            return {}
        logits = infer_logits(self._engine, self._data.encoded, self._padding_id, self._token_budget, self._check)
        return _scores(logits, self._data.targets, self._engine.labels, self._engine.problem_type)


def _scores(logits: Any, targets: Any, labels: tuple[str, ...], problem_type: str) -> dict[str, float]:
    values = probabilities(logits, problem_type)
    scores = dict(evaluate(values, targets, labels, problem_type).scores)
    scores["loss"] = float(loss_of(problem_type)(targets, logits))
    return {name: value for name in STOPPING_METRICS[problem_type] if (value := scores[name]) is not None}
