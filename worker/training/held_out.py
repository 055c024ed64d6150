"""What a checkpoint that was just saved says of the examples that training never saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from db.claims import Claim
from db.training import TrainingExample, count_examples, load_examples
from worker.batching import infer_in_batches
from worker.checkpoints.tokenizer import Encoded, load_tokenizer
from worker.context import WorkerContext
from worker.engines.base import Engine
from worker.engines.tensorflow import TensorFlowEngine
from worker.errors import TrainingError
from worker.probabilities import probabilities
from worker.training.agreement import agreement
from worker.training.answers import Answers, describe
from worker.training.fit import tokenize_examples
from worker.training.targets import encode_targets
from worker.training.teacher import TeacherAnswers

#: The splits that are held out, the one to measure on first.
_MEASURED = ("test", "validation")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The examples that a job holds out, and the checkpoint to ask about them, read up to `max_tokens` tokens.

    A student's `teacher` has answered all of them; without one all have a label. What `check`, called before every
    batch, raises ends the asking.
    """

    context: WorkerContext
    claim: Claim
    check: Callable[[], None]
    directory: Path
    max_tokens: int
    teacher: TeacherAnswers | None = None

    def metrics(self, temperature: float | None) -> dict[str, Any]:
        """The figures of an evaluation for the registry: on the split `test` where there is one, else `validation`.

        Each score stands under the split's name, and under `evaluation` what is told label by label, and the worst
        mistakes. Where the checkpoint's logits were divided by a temperature, the calibration error without that is
        told too. Those are of the examples with a label; how far a student agrees with its teacher is told of all of
        the split. Where one split has labels, it is that one. Empty where nothing is held out.
        """
        with self.context.database.read() as connection:
            counts = count_examples(connection, self.claim.job_id)
            labelled = count_examples(connection, self.claim.job_id, labelled=True)
        split = next((name for found in (labelled, counts) for name in _MEASURED if name in found), None)
        if split is None:
            return {}
        told: dict[str, Any] = {f"{name}_examples": counts[name] for name in reversed(_MEASURED) if name in counts}
        examples = self._examples(split)
        logits, problem_type = self._infer(examples)
        if split in labelled:
            answers = self._labelled(examples, logits, problem_type)
            told |= describe(answers, split, self.claim.params["labels"], temperature)
        if self.teacher is not None:
            taught = self.teacher.of([one.review_id for one in examples])
            found = agreement(probabilities(logits, problem_type), taught, problem_type)
            told |= {f"{split}_{name}": value for name, value in found.items()}
        return told

    def answers(self, split: str) -> Answers:
        """Infer the labelled examples of a split that has some, in float32, in order of review id.

        Raises TrainingError for a model whose numbers are not finite.
        """
        examples = [one for one in self._examples(split) if one.label is not None]
        return self._labelled(examples, *self._infer(examples))

    def _examples(self, split: str) -> list[TrainingExample]:
        with self.context.database.read() as connection:
            return load_examples(connection, self.claim.job_id, split)

    def _infer(self, examples: Sequence[TrainingExample]) -> tuple[np.ndarray, str]:
        """The logits, float32 [examples, labels], and what they mean."""
        tokenizer, engine = load_tokenizer(self.directory), TensorFlowEngine(self.directory)
        encoded = tokenize_examples(tokenizer, examples, self.max_tokens, self.check)
        budget = self.context.settings.first_token_budget
        return infer_logits(engine, encoded, tokenizer.pad_token_id, budget, self.check), engine.problem_type

    def _labelled(self, examples: Sequence[TrainingExample], logits: np.ndarray, problem_type: str) -> Answers:
        """What is said of the examples that have a label."""
        told = [(at, one.review_id, one.label) for at, one in enumerate(examples) if one.label is not None]
        places, review_ids, right = zip(*told, strict=True)
        targets = encode_targets(right, self.claim.params["labels"], problem_type)
        return Answers(list(review_ids), targets, logits[list(places)], problem_type)


def infer_logits(
    engine: Engine, encoded: Sequence[Encoded], padding_id: int, token_budget: int, check: Callable[[], None]
) -> np.ndarray:
    """The logits of at least one tokenized text, float32 [texts, classes], in their order.

    What `check`, called before every batch, raises ends it. Raises TrainingError where one is not finite.
    """
    logits = infer_in_batches(engine, encoded, padding_id, token_budget, check)
    if not np.isfinite(logits).all():
        raise TrainingError("the trained model's numbers are not finite; lower --learning-rate, or scale the target")
    return logits
