"""What a model says of examples held out, against the pipeline, and how much of it is right, worked out by hand."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL, read_checkpoint_facts
from db.training import TrainingExample
from tests.samples import CHECKPOINTS
from worker.checkpoints.tokenizer import load_tokenizer
from worker.engines.tensorflow import TensorFlowEngine
from worker.errors import TrainingError
from worker.training.fit import Encoding, encode_examples
from worker.training.held_out import infer_examples, measure_values


def examples(texts: Sequence[str], name: str) -> tuple[Encoding, int]:
    tokenizer, facts = load_tokenizer(CHECKPOINTS / name), read_checkpoint_facts(CHECKPOINTS / name)
    some = [TrainingExample(text, None, "") for text in texts]
    return encode_examples(tokenizer, some, [], MULTI_LABEL, facts.max_tokens, lambda: None), tokenizer.pad_token_id


@pytest.mark.parametrize(
    ("name", "problem_type"),
    [("bert", SINGLE_LABEL), ("roberta-multi-label", MULTI_LABEL), ("bert-regression", REGRESSION)],
)
def test_values_come_in_the_examples_order_as_the_pipeline_gives_them(name: str, problem_type: str) -> None:
    rows = json.loads((CHECKPOINTS / name / "reference.json").read_text())["rows"]
    rows = [row for row in rows if row["pair"] is None and row["text"].strip()]
    data, padding_id = examples([row["text"] for row in rows], name)
    values = infer_examples(TensorFlowEngine(CHECKPOINTS / name), data, problem_type, padding_id, 128, lambda: None)
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
        infer_examples(engine, data, SINGLE_LABEL, padding_id, 8, third)


class Diverged:
    """An engine whose weights have become infinite."""

    def logits(self, batch: Any) -> np.ndarray:
        return np.full((len(batch.token_ids), 1), np.inf, np.float32)


def test_a_model_that_diverged_is_no_model() -> None:
    data, padding_id = examples(["good", "bad"], "bert")
    with pytest.raises(TrainingError, match="not finite; lower --learning-rate"):
        infer_examples(Diverged(), data, REGRESSION, padding_id, 64, lambda: None)


def test_a_single_label_is_right_where_it_has_the_largest_value() -> None:
    values = np.float32([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
    assert measure_values(values, np.int32([1, 1, 0]), SINGLE_LABEL) == {"accuracy": pytest.approx(2 / 3)}


def test_several_labels_are_right_only_together() -> None:
    values = np.float32([[0.9, 0.1], [0.5, 0.6], [0.2, 0.7], [0.1, 0.2]])
    targets = np.float32([[1, 0], [1, 1], [1, 1], [0, 0]])
    assert measure_values(values, targets, MULTI_LABEL) == {"accuracy": 0.75}


def test_numbers_are_off_by_their_mean_distance() -> None:
    found = measure_values(np.float32([[1.0], [2.5]]), np.float32([[2.0], [2.0]]), REGRESSION)
    assert found == {"mae": 0.75}
