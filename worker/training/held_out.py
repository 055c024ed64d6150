"""What a checkpoint that was just saved says of the examples that training never saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from db.claims import Claim
from db.training import count_examples, load_examples
from worker.batching import collate, cut_batches
from worker.checkpoints.tokenizer import Encoded, load_tokenizer
from worker.context import WorkerContext
from worker.engines.base import Engine
from worker.engines.tensorflow import TensorFlowEngine
from worker.errors import TrainingError
from worker.training.answers import Answers, describe
from worker.training.fit import encode_examples


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The examples that a job holds out, and the checkpoint to ask about them, read up to `max_tokens` tokens.

    What `check`, called before every batch, raises ends the asking.
    """

    context: WorkerContext
    claim: Claim
    check: Callable[[], None]
    directory: Path
    max_tokens: int

    def metrics(self, temperature: float | None) -> dict[str, Any]:
        """The figures of an evaluation for the registry: on the split `test` where there is one, else `validation`.

        Each score stands under the split's name, and under `evaluation` what is told label by label, and the worst
        mistakes. Where the checkpoint's logits were divided by a temperature, the calibration error without that is
        told too. Empty where nothing is held out.
        """
        with self.context.database.read() as connection:
            counts = count_examples(connection, self.claim.job_id)
        split = "test" if counts.get("test") else "validation"
        if not counts.get(split):
            return {}
        examples = {f"{name}_examples": counts[name] for name in ("validation", "test") if name in counts}
        return examples | describe(self.answers(split), split, self.claim.params["labels"], temperature)

    def answers(self, split: str) -> Answers:
        """Infer the examples of a split that has some, in float32, in order of review id.

        Raises TrainingError for a model whose numbers are not finite.
        """
        with self.context.database.read() as connection:
            examples = load_examples(connection, self.claim.job_id, split)
        tokenizer = load_tokenizer(self.directory)
        params, engine = self.claim.params, TensorFlowEngine(self.directory)
        data = encode_examples(
            tokenizer, examples, params["labels"], params["problem_type"], self.max_tokens, self.check
        )
        budget = self.context.settings.first_token_budget
        logits = infer_logits(engine, data.encoded, tokenizer.pad_token_id, budget, self.check)
        return Answers([one.review_id for one in examples], data.targets, logits, engine.problem_type)


def infer_logits(
    engine: Engine, encoded: Sequence[Encoded], padding_id: int, token_budget: int, check: Callable[[], None]
) -> np.ndarray:
    """The logits of at least one tokenized text, float32 [texts, classes], in their order.

    What `check`, called before every batch, raises ends it. Raises TrainingError where one is not finite.
    """
    found: dict[int, np.ndarray] = {}
    for indices in cut_batches([one.length for one in encoded], token_budget):
        check()
        batch = collate([encoded[index] for index in indices], padding_id)
        found.update(zip(indices, engine.logits(batch), strict=True))
    logits = np.stack([found[index] for index in range(len(encoded))])
    if not np.isfinite(logits).all():
        raise TrainingError("the trained model's numbers are not finite; lower --learning-rate, or scale the target")
    return logits
