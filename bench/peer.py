"""Running a peer's script in its own environment, and reading its answer."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data import MAX_TOKENS, DataSet, Slice, cut_texts, write_texts
from bench.result import Result, Skipped

#: Tokens of a batch, of ours and of ONNX Runtime's: what a worker's search finds for this model on two cores. ONNX
#: Runtime is faster with it, too, than with twice as many.
TOKEN_BUDGET = 2048
#: Reviews to warm up on; a batch of it at most.
_WARM_UP = 32


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers on one data set. `seconds` is after how long the pipeline begins no more batches."""

    folder: Path
    model: Path
    python: Path
    data: DataSet
    seconds: float

    def pipeline(self, reviews: Slice, precision: str, batch_size: int, device: str) -> Result:
        """The transformers pipeline on as many of the reviews as it does in the time."""
        options = ["--precision", precision, "--batch-size", str(batch_size), "--device", device]
        options += ["--seconds", str(self.seconds)]
        return self._result("transformers_pipeline", reviews, options)

    def onnx(self, reviews: Slice) -> Result:
        """ONNX Runtime on all of the reviews, in our batches."""
        graph = export_onnx(self.python, self.model, self.folder)
        batches = self.folder / "batches.json"
        batches.write_text(json.dumps(cut_texts(reviews.texts, self.model, TOKEN_BUDGET)))
        return self._result("onnx_runtime", reviews, ["--graph", str(graph), "--batches", str(batches)])

    def _result(self, script: str, reviews: Slice, options: list[str]) -> Result:
        answer = ask_peer(self.python, script, self.model, self.folder, reviews.texts, self.data.warm_up, options)
        done = answer["reviews"]
        return Result(
            reviews=done,
            seconds=answer["seconds"],
            tokens=answer["tokens"],
            batch_tokens=answer["batch_tokens"],
            operations=reviews.operations(done),
            peak_mib=answer["peak_mib"],
            first_result_s=answer["first_result_s"],
            details={"load_s": answer["load_s"], "threads": answer["threads"]},
        )


def ask_peer(
    python: Path, script: str, model: Path, folder: Path, texts: list[str], warm_up: list[str], options: list[str]
) -> dict[str, Any]:
    """Run one script on the texts and return its answer. Raises Skipped with its last line where it fails."""
    given = write_texts(folder / "texts.json", texts)
    warming = write_texts(folder / "warm-up.json", warm_up[:_WARM_UP])
    files = ["--model", str(model), "--texts", str(given), "--warm-up", str(warming), "--max-tokens", str(MAX_TOKENS)]
    return dict(json.loads(_run(python, script, [*files, *options]).splitlines()[-1]))


def export_onnx(python: Path, model: Path, folder: Path) -> Path:
    """The checkpoint as a quantized ONNX graph, made once."""
    graph = folder / "onnx" / "int8.onnx"
    if not graph.exists():
        _run(python, "export_onnx", [str(model), str(graph.parent)])
    return graph


def ask_trainer(python: Path, task: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Let the transformers Trainer do a task, and return its answer. Raises Skipped with its last line if it fails."""
    given = folder / "trainer.json"
    given.write_text(json.dumps(task, ensure_ascii=False), encoding="utf-8")
    return dict(json.loads(_run(python, "transformers_trainer", [str(given)]).splitlines()[-1]))


def peers_versions(python: Path) -> dict[str, str]:
    """The libraries of the peers' environment."""
    if not python.exists():
        return {}
    program = (
        "import json; from bench.machine import versions;"
        "print(json.dumps(versions(['torch', 'transformers', 'accelerate', 'tokenizers', 'onnx', 'onnxruntime'])))"
    )
    ended = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return dict(json.loads(ended.stdout))


def _run(python: Path, script: str, arguments: list[str]) -> str:
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    command = [str(python), "-m", f"bench.peers.{script}", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet})
    if ended.returncode != 0:
        raise Skipped(f"it failed: {(ended.stderr.strip().splitlines() or ['no word'])[-1]}")
    return ended.stdout
