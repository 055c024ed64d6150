"""Reviewmill as a contestant: the whole way, and its engine alone."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from bench.data import DataSet, Slice
from bench.ours import Mill
from bench.peer import TOKEN_BUDGET
from bench.result import Result, Skipped
from worker.engines.cpu.variants import candidates

#: Reviews of the warm-up, on which int8 is calibrated, once, and held against float32.
_WARM_UP = 132
#: The guard's verdict is not asked for here, where a precision is ordered: a glance is enough.
_GUARD_TEXTS = "32"


class EndToEnd:
    """From enqueued to committed, on a stack that is warm, each round in a home that knows no review."""

    def __init__(
        self, folder: Path, model: Path, data: DataSet, engine: str, precision: str, device: str = "cpu"
    ) -> None:
        self._environment = {
            "REVIEWMILL_ENGINE": engine,
            "REVIEWMILL_PRECISION": precision,
            "REVIEWMILL_ENGINES": str(folder / "engines"),
            "REVIEWMILL_DEVICES": "cpu" if device == "cpu" else "auto",
            "REVIEWMILL_GUARD_TEXTS": _GUARD_TEXTS,
            "REVIEWMILL_TOKEN_BUDGET": str(TOKEN_BUDGET),
            "REVIEWMILL_REDIS_URL": "",
            "REVIEWMILL_DATABASE_URL": "",
        }
        self._home = folder / f"{data.name}-{engine}-{precision}"
        self._model = model
        self._warm_up = data.warm_up[:_WARM_UP]

    def run(self, reviews: Slice) -> Result:
        """Score them; raises Skipped where that fails."""
        mill = Mill(self._home, self._model, self._environment)
        try:
            scored = mill.score(reviews.texts, self._warm_up)
        except RuntimeError as error:
            raise Skipped(f"it failed: {error}") from error
        details = ("command_s", "device_busy", "worker_peak_mib", "precision")
        return Result(
            reviews=scored.reviews,
            seconds=scored.seconds,
            tokens=scored.tokens,
            batch_tokens=scored.batch_tokens,
            operations=reviews.operations(scored.reviews),
            peak_mib=scored.peak_mib,
            first_result_s=scored.first_result_s,
            details={name: value for name, value in asdict(scored).items() if name in details},
        )


class Alone:
    """The engine, from token ids to logits, on the graphs that the run end to end has built."""

    def __init__(self, folder: Path, model: Path, engine: str, precision: str) -> None:
        self._folder = folder
        self._task = {
            "model": str(model),
            "engines": str(folder / "engines"),
            "engine": engine,
            "precision": candidates(precision, engine)[0],
            "token_budget": TOKEN_BUDGET,
        }

    def run(self, reviews: Slice) -> Result:
        """Infer them; raises Skipped where that fails."""
        task = self._folder / "task.json"
        task.write_text(json.dumps({**self._task, "texts": reviews.texts}), encoding="utf-8")
        ended = subprocess.run([sys.executable, "-m", "bench.engine_only", task], capture_output=True, text=True)
        if ended.returncode != 0:
            raise Skipped(f"it failed: {(ended.stderr.strip().splitlines() or ['no word'])[-1]}")
        answer = json.loads(ended.stdout)
        return Result(**answer, operations=reviews.operations(answer["reviews"]))
