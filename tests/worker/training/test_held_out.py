"""What a model says of examples held out, against the pipeline."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL, read_checkpoint_facts
from db.training import TrainingExample
from tests.samples import CHECKPOINTS
from worker.checkpoints.tokenizer import load_tokenizer
from worker.engines.base import BatchCosts
from worker.engines.tensorflow import TensorFlowEngine
from worker.errors import TrainingError
from worker.probabilities import probabilities
from worker.training.fit import Encoding, encode_examples
from worker.training.held_out import infer_logits


def examples(texts: Sequence[str], name: str) -> tuple[Encoding, int]:
    tokenizer, facts = load_tokenizer(CHECKPOINTS / name), read_checkpoint_facts(CHECKPOINTS / name)
    some = [TrainingExample(0, text, None, "") for text in texts]
    return encode_examples(tokenizer, some, [], MULTI_LABEL, facts.max_tokens, lambda: None), tokenizer.pad_token_id


@pytest.mark.parametrize(
    ("name", "problem_type"),
    [("bert", SINGLE_LABEL), ("roberta-multi-label", MULTI_LABEL), ("bert-regression", REGRESSION)],
)
def test_values_come_in_the_examples_order_as_the_pipeline_gives_them(name: str, problem_type: str) -> None:
    rows = json.loads((CHECKPOINTS / name / "reference.json").read_text())["rows"]
    rows = [row for row in rows if row["pair"] is None and row["text"].strip()]
    data, padding_id = examples([row["text"] for row in rows], name)
    logits = infer_logits(TensorFlowEngine(CHECKPOINTS / name), data.encoded, padding_id, 128, lambda: None)
    values = probabilities(logits, problem_type)
    labels = read_checkpoint_facts(CHECKPOINTS / name).labels
    expected = [[row["probabilities"][label] for label in labels or ()] for row in rows]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_a_look_between_batches_ends_it() -> None:
    data, padding_id = examples(["good"] * 9, "bert")
    looks: list[None] = []

    def third() -> None:
        looks.append(None)
        if len(looks) == 3:
            raise TimeoutError

    engine = TensorFlowEngine(CHECKPOINTS / "bert")
    with pytest.raises(TimeoutError):
        infer_logits(engine, data.encoded, padding_id, 8, third)


class Diverged:
    """An engine whose weights have become infinite."""

    costs = BatchCosts()

    def logits(self, batch: Any) -> np.ndarray:
        return np.full((len(batch.token_ids), 1), np.inf, np.float32)


def test_a_model_that_diverged_is_no_model() -> None:
    data, padding_id = examples(["good", "bad"], "bert")
    with pytest.raises(TrainingError, match="not finite; lower --learning-rate"):
        infer_logits(Diverged(), data.encoded, padding_id, 64, lambda: None)
