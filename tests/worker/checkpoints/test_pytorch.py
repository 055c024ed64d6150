"""Versions that fine-tuning makes are loaded by transformers on PyTorch, and answer there as they do here.

PyTorch lives in an environment of its own, which `make test` installs: `make .venv-peers/installed`.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.app import make_app
from db.checkpoint import FAMILIES, MULTI_LABEL, REGRESSION, SINGLE_LABEL, read_checkpoint_facts
from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job
from db.registry import RegisteredModel, find_model
from db.reviews import store_reviews
from db.schema import upgrade
from producer.enqueue import TrainingPlan
from tests.samples import CHECKPOINTS, SomeReview
from worker.batching import collate
from worker.checkpoints.tokenizer import load_tokenizer, tokenize
from worker.checkpoints.weights import read_weights
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.base import Engine
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.openvino.graph import build_graph
from worker.engines.tensorflow import TensorFlowEngine
from worker.models import LoadedModels
from worker.probabilities import probabilities
from worker.settings import WorkerSettings
from worker.training.finetune import finetune

PYTORCH = Path(__file__).parents[3] / ".venv-peers" / "bin" / "python"
SCRIPT = Path(__file__).with_name("pytorch_answers.py")
TOLERANCE = 1e-5
TEXTS = ("A wonderful film.", "wonderful screen", "a wonderful price", "terrible", "a terrible film", "terrible price")
#: Of every kind of problem: the labels of a version, and those of the texts.
KINDS = {
    SINGLE_LABEL: (["bad", "good", "so-so"], ["good", "good", "so-so", "bad", "bad", "so-so"]),
    MULTI_LABEL: (["film", "liked", "price"], ["film|liked", "liked", "liked|price", "", "film", "price"]),
    REGRESSION: (["stars"], ["5", "4.5", "4", "1", "1.5", "2"]),
}
#: The base of each version, and what it is fine-tuned for.
VERSIONS = [
    *((family, SINGLE_LABEL) for family in FAMILIES),
    ("bert", MULTI_LABEL),
    ("roberta", MULTI_LABEL),
    ("distilbert", REGRESSION),
]
ENGINES: dict[str, Callable[[Path], Engine]] = {
    "tensorflow": TensorFlowEngine,
    "openvino": lambda directory: OpenVINOEngine(build_graph(read_weights(directory))),
}


@dataclass(frozen=True)
class Version:
    """A version that was fine-tuned, and what PyTorch makes of its directory."""

    base: str
    model: RegisteredModel
    pytorch: dict[str, Any]

    @property
    def directory(self) -> Path:
        return Path(self.model.path)

    @property
    def answers(self) -> np.ndarray:
        """What PyTorch says of every row, [rows, labels]."""
        return np.array([[row[label] for label in self.model.labels] for row in self.pytorch["probabilities"]])


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str | None]]:
    """Short, long past every limit, nearly empty, in other scripts, and pairs."""
    read = json.loads((CHECKPOINTS / "bert" / "reference.json").read_text())["rows"]
    assert any(row["pair"] for row in read)
    assert any(len(row["text"]) > 1_000 for row in read)
    return [(row["text"], row["pair"]) for row in read]


@pytest.fixture(scope="module")
def versions(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | None]]
) -> dict[tuple[str, str], Version]:
    """All of them, fine-tuned as jobs of a worker, and then asked by one process that has PyTorch."""
    folder = tmp_path_factory.mktemp("versions")
    database = Database(f"sqlite:///{folder / 'reviewmill.db'}")
    upgrade(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVIEWMILL_HOME", str(folder / "home"))
        settings = WorkerSettings()
    context = WorkerContext(
        database, make_app("redis+socket:///nowhere"), settings, LoadedModels(database, settings, "cpu@here")
    )
    made = [_fine_tune(context, base, problem_type) for base, problem_type in VERSIONS]
    database.close()
    told = _ask_pytorch([Path(model.path) for model in made], rows)
    return {key: Version(key[0], model, one) for key, model, one in zip(VERSIONS, made, told, strict=True)}


@pytest.fixture(params=VERSIONS, ids="-".join)
def version(request: pytest.FixtureRequest, versions: dict[tuple[str, str], Version]) -> Version:
    return versions[request.param]


def _fine_tune(context: WorkerContext, base: str, problem_type: str) -> RegisteredModel:
    labels, given = KINDS[problem_type]
    name = f"{base}-{problem_type}"
    params = {
        **asdict(TrainingPlan(name, epochs=2, batch_size=3, learning_rate=5e-3, max_length=16)),
        "base": base,
        "base_directory": str(CHECKPOINTS / base),
        "labels": labels,
        "problem_type": problem_type,
        "steps": 4,
    }
    with context.database.write() as connection:
        ids = store_reviews(connection, f"{name}.csv", [SomeReview(text, text) for text in TEXTS])
        examples = [LabelledReview(id_, label, "train") for id_, label in zip(ids, given, strict=True)]
        _, (chunk_id,) = create_job(connection, NewJob("finetune", params, [ids], examples=examples))
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        return find_model(connection, name)


def _ask_pytorch(directories: list[Path], rows: list[tuple[str, str | None]]) -> list[dict[str, Any]]:
    assert PYTORCH.exists(), "PyTorch is not installed: run `make .venv-peers/installed`"
    asked = json.dumps({"directories": list(map(str, directories)), "rows": rows})
    ended = subprocess.run([PYTORCH, SCRIPT], input=asked, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return list(json.loads(ended.stdout.splitlines()[-1]))


def _ours(engine: Engine, directory: Path, rows: list[tuple[str, str | None]]) -> np.ndarray:
    facts, tokenizer = read_checkpoint_facts(directory), load_tokenizer(directory)
    assert facts.problem_type is not None
    encoded = tokenize(tokenizer, [text for text, _ in rows], [pair for _, pair in rows], facts.max_tokens)
    return probabilities(engine.logits(collate(encoded, tokenizer.pad_token_id)), facts.problem_type)


def test_every_weight_is_found_and_none_is_left_over(version: Version) -> None:
    assert version.pytorch["not_loaded"] == []
    architecture = json.loads((version.directory / "config.json").read_text())["architectures"]
    assert architecture == [version.pytorch["class"]]


def test_labels_and_the_kind_of_problem_are_those_that_were_trained(version: Version) -> None:
    labels, _ = KINDS[version.model.problem_type]
    assert version.pytorch["labels"] == version.model.labels == labels
    assert version.pytorch["problem_type"] == version.model.problem_type


@pytest.mark.parametrize("engine", ENGINES)
def test_probabilities_are_those_of_our_engines(
    version: Version, rows: list[tuple[str, str | None]], engine: str
) -> None:
    ours = _ours(ENGINES[engine](version.directory), version.directory, rows)
    np.testing.assert_allclose(version.answers, ours, rtol=0, atol=TOLERANCE)


def test_answers_vary_enough_to_tell_a_wrong_model(version: Version) -> None:
    assert version.answers.std(axis=0).max() > 0.01


def test_sums_are_those_of_the_kind_of_problem(version: Version) -> None:
    sums = version.answers.sum(axis=1)
    if version.model.problem_type == SINGLE_LABEL:
        np.testing.assert_allclose(sums, 1.0, atol=TOLERANCE)
    else:
        assert np.abs(sums - 1.0).max() > 0.01
