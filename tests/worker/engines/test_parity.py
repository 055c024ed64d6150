"""Our probabilities are those of the transformers pipeline on PyTorch, for every family and kind of row."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from db.checkpoint import FAMILIES, read_checkpoint_facts
from worker.checkpoints.tokenizer import Encoded, load_tokenizer, tokenize
from worker.checkpoints.weights import read_weights
from worker.engines.base import Batch, Engine
from worker.engines.onnx.engine import OnnxEngine
from worker.engines.onnx.graph import write_graph
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.openvino.graph import build_graph
from worker.engines.tensorflow import TensorFlowEngine
from worker.probabilities import probabilities

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
TOLERANCE = 1e-5
NAMES = sorted(path.parent.name for path in CHECKPOINTS.glob("*/reference.json"))


def onnx_engine(directory: Path) -> Engine:
    with TemporaryDirectory() as folder:
        graph = Path(folder) / "float32.onnx"
        write_graph(read_weights(directory), graph, lambda name: False)
        return OnnxEngine(graph)


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "tensorflow": TensorFlowEngine,
    "openvino": lambda directory: OpenVINOEngine(build_graph(read_weights(directory))),
    # It serves in int8 only; the same graph without its quantized products shows that everything else is right.
    "onnx": onnx_engine,
}


def pad(rows: Sequence[Encoded], padding_id: int) -> Batch:
    shape = (len(rows), max(row.length for row in rows))
    batch = Batch(np.full(shape, padding_id, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32))
    for index, row in enumerate(rows):
        batch.token_ids[index, : row.length] = row.ids
        batch.segment_ids[index, : row.length] = row.segment_ids
        batch.padding_mask[index, : row.length] = 1
    return batch


@dataclass
class Subject:
    """A checkpoint, its engine, its tokenized reference rows and what PyTorch answered."""

    engine: Engine
    rows: list[Encoded]
    expected: np.ndarray
    expected_tokens: list[int]
    problem_type: str
    padding_id: int

    def answer(self, rows: Sequence[Encoded]) -> np.ndarray:
        return probabilities(self.engine.logits(pad(rows, self.padding_id)), self.problem_type)


@pytest.fixture(scope="session", params=[(engine, name) for engine in ENGINES for name in NAMES], ids="-".join)
def subject(request: pytest.FixtureRequest) -> Subject:
    engine, name = request.param
    directory = CHECKPOINTS / name
    facts = read_checkpoint_facts(directory)
    assert facts.labels is not None
    assert facts.problem_type is not None
    reference: list[dict[str, Any]] = json.loads((directory / "reference.json").read_text("utf-8"))["rows"]
    tokenizer = load_tokenizer(directory)
    texts, pairs = [row["text"] for row in reference], [row["pair"] for row in reference]
    return Subject(
        engine=ENGINES[engine](directory),
        rows=tokenize(tokenizer, texts, pairs, facts.max_tokens),
        expected=np.array([[row["probabilities"][label] for label in facts.labels] for row in reference]),
        expected_tokens=[row["tokens"] for row in reference],
        problem_type=facts.problem_type,
        padding_id=tokenizer.pad_token_id,
    )


def test_checkpoints_cover_every_family_and_problem_type() -> None:
    facts = [read_checkpoint_facts(CHECKPOINTS / name) for name in NAMES]
    assert {fact.family for fact in facts} == set(FAMILIES)
    assert {fact.problem_type for fact in facts} == {
        "single_label_classification",
        "multi_label_classification",
        "regression",
    }


def test_references_vary_enough_to_tell_a_wrong_model(subject: Subject) -> None:
    assert subject.expected.std(axis=0).max() > 0.05


def test_counts_tokens_as_the_pipeline_does(subject: Subject) -> None:
    assert [row.length for row in subject.rows] == subject.expected_tokens


def test_one_row_at_a_time(subject: Subject) -> None:
    answers = np.concatenate([subject.answer([row]) for row in subject.rows])
    np.testing.assert_allclose(answers, subject.expected, rtol=0, atol=TOLERANCE)


def test_all_rows_in_one_padded_batch(subject: Subject) -> None:
    np.testing.assert_allclose(subject.answer(subject.rows), subject.expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("size", [3, 7])
def test_small_padded_batches_sorted_by_length(subject: Subject, size: int) -> None:
    order = np.argsort([row.length for row in subject.rows], kind="stable")
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        answers = subject.answer([subject.rows[index] for index in chosen])
        np.testing.assert_allclose(answers, subject.expected[chosen], rtol=0, atol=TOLERANCE)


def test_padding_changes_nothing(subject: Subject) -> None:
    short = min(subject.rows, key=lambda row: row.length)
    long = max(subject.rows, key=lambda row: row.length)
    np.testing.assert_allclose(subject.answer([short, long])[:1], subject.answer([short]), rtol=0, atol=TOLERANCE)
