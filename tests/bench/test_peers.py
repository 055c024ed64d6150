"""The peers answer as Reviewmill does, where they are installed: a script that answers wrongly measures nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import PEERS
from bench.data import cut_texts
from bench.peer import ask_peer, export_onnx

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "distilbert"

pytestmark = [
    pytest.mark.skipif(not PEERS.exists(), reason="the peers are not installed; `make bench` installs them"),
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Reviews, and the probabilities that Reviewmill's engines are held to within 1e-5."""
    read = json.loads((CHECKPOINT / "reference.json").read_text())["rows"]
    return [row for row in read if row["pair"] is None]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_pipeline_gives_our_probabilities(rows: list[dict[str, Any]], batch_size: int, tmp_path: Path) -> None:
    options = ["--precision", "float32", "--batch-size", str(batch_size), "--device", "cpu"]
    answer = _ask("transformers_pipeline", rows, tmp_path, options)
    _agree(answer, rows, 1e-5)


def test_the_pipeline_stops_when_its_time_is_up(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    options = ["--precision", "float32", "--batch-size", "1", "--device", "cpu", "--seconds", "0"]
    answer = _ask("transformers_pipeline", rows, tmp_path, options)
    assert answer["reviews"] < len(rows)
    assert len(answer["probabilities"]) == answer["reviews"]


def test_onnx_runtime_gives_our_probabilities_and_nearly_so_in_int8(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    quantized = export_onnx(PEERS, CHECKPOINT, tmp_path)
    batches = tmp_path / "batches.json"
    batches.write_text(json.dumps(cut_texts([row["text"] for row in rows], CHECKPOINT, 128)))
    for graph, tolerance in ((quantized.with_name("float32.onnx"), 1e-5), (quantized, 0.15)):
        options = ["--graph", str(graph), "--batches", str(batches)]
        _agree(_ask("onnx_runtime", rows, tmp_path, options), rows, tolerance)


def _ask(script: str, rows: list[dict[str, Any]], folder: Path, options: list[str]) -> dict[str, Any]:
    texts = [row["text"] for row in rows]
    # The small checkpoint has 64 positions.
    limits = ["--probabilities", "--max-tokens", "64"]
    return ask_peer(PEERS, script, CHECKPOINT, folder, texts, texts, [*options, *limits])


def _agree(answer: dict[str, Any], rows: list[dict[str, Any]], tolerance: float) -> None:
    assert answer["reviews"] == len(rows)
    assert answer["tokens"] == sum(row["tokens"] for row in rows)
    for told, row in zip(answer["probabilities"], rows, strict=True):
        assert told == pytest.approx(row["probabilities"], abs=tolerance)
