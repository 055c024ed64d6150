"""How fast reviews are scored: the engine alone, and the whole way from the source to SQL.

Both score the same reviews with the same weights (the MiniLM encoder with a fresh head: speed does not
depend on what the head has learned). Rounds are interleaved and medians told, because machines drift.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

SOURCES = {"demo:rotten_tomatoes:test": 1_500, "demo:imdb:test": 400}
ROUNDS = 3
TOKEN_BUDGET = 4096
LABELS = ("negative", "positive")


def main() -> None:
    """Measure every source in turn and print one table."""
    table = Table("source", "reviews", "engine alone, reviews/s", "source to SQL, reviews/s", "ratio")
    with tempfile.TemporaryDirectory() as folder:
        model = _make_model(Path(folder) / "model")
        for source, count in SOURCES.items():
            alone, whole = [], []
            for number in range(ROUNDS):
                alone.append(_engine_alone(model, source, count))
                whole.append(_source_to_sql(model, source, count, Path(folder) / f"home-{number}"))
            ratio = median(b / a for a, b in zip(alone, whole, strict=True))
            table.add_row(source, f"{count:,}", f"{median(alone):,.1f}", f"{median(whole):,.1f}", f"{ratio:.2f}")
    Console().print(table)


def _make_model(directory: Path) -> Path:
    from producer.checkpoints import minilm_directory
    from worker.checkpoints.load import load_classifier
    from worker.checkpoints.save import save_checkpoint

    base = minilm_directory()
    model = load_classifier(base, labels=LABELS)
    save_checkpoint(model, base, directory, labels=LABELS, problem_type="single_label_classification")
    return directory


def _engine_alone(model: Path, source: str, count: int) -> float:
    """Reviews a second from token ids to logits, in batches as the worker cuts them."""
    program = f"from bench.scoring import time_engine; time_engine({str(model)!r}, {source!r}, {count})"
    return float(_run([sys.executable, "-c", program], dict(os.environ)))


def time_engine(model: str, source: str, count: int) -> None:
    """Print the speed of the engine, tokenizing left out. Run in a process of its own."""
    from itertools import islice

    from producer.sources import open_source
    from worker.batching import collate, cut_batches
    from worker.checkpoints.tokenizer import load_tokenizer, tokenize
    from worker.engines.tensorflow import TensorFlowEngine

    texts = [str(record.values["text"]) for record in islice(open_source(source).records(), count)]  # type: ignore[union-attr]
    engine, tokenizer = TensorFlowEngine(Path(model)), load_tokenizer(Path(model))
    encoded = tokenize(tokenizer, texts, None, 512)
    batches = [
        collate([encoded[index] for index in indices], tokenizer.pad_token_id)
        for indices in cut_batches([one.length for one in encoded], TOKEN_BUDGET)
    ]
    engine.logits(batches[-1])
    began = time.perf_counter()
    for batch in batches:
        engine.logits(batch)
    print(len(texts) / (time.perf_counter() - began))  # noqa: T201


def _source_to_sql(model: Path, source: str, count: int, home: Path) -> float:
    """Reviews a second of `reviewmill score`, from claimed to committed, on a worker that is warm."""
    shutil.rmtree(home, ignore_errors=True)
    environment = {**os.environ, "REVIEWMILL_HOME": str(home)}
    command = [sys.executable, "-m", "cli.main"]
    stack = subprocess.Popen([*command, "up"], env=environment, stderr=subprocess.DEVNULL)
    options = ["--text", "text", "--id", "id", "--model", str(model), "--json", "--limit"]
    try:
        # Other texts than those to be timed, so that none is reused.
        _run([*command, "score", "demo:movies:train", *options, "16"], environment)
        done: dict[str, Any] = json.loads(_run([*command, "score", source, *options, str(count)], environment))
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait()
    return float(done["reviews_per_second"])


def _run(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
