"""The engine alone, from token ids to logits; `python -m bench.engine_only TASK` in a process of its own.

TASK is a JSON file: model, engines, engine, precision, texts, token_budget.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.data import MAX_TOKENS


def main() -> None:
    """Print what inferring all texts takes in the batches of a worker; tokenizing and cutting are done before."""
    from producer.settings import ProducerSettings
    from worker.batching import BatchCutter, collate
    from worker.checkpoints.tokenizer import tokenize
    from worker.engines.base import streams_of
    from worker.streams import infer_batches

    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    tokenizer, engine = _load(task)
    encoded = tokenize(tokenizer, task["texts"], None, MAX_TOKENS)
    cutter, size = BatchCutter(engine.costs, streams_of(engine)), ProducerSettings().chunk_size
    batches = [
        (cut.indices, collate([chunk[index] for index in cut.indices], tokenizer.pad_token_id, cut.shape))
        for chunk in (encoded[first : first + size] for first in range(0, len(encoded), size))
        for cut in cutter.cut([one.length for one in chunk], task["token_budget"])
    ]
    engine.logits(batches[-1][1])
    waiting = iter(batches)
    began = time.perf_counter()
    for ended in infer_batches(engine, lambda: next(waiting, None)):
        ended.answer()
    seconds = time.perf_counter() - began
    answer = {
        "reviews": len(encoded),
        "seconds": seconds,
        "tokens": sum(one.length for one in encoded),
        "batch_tokens": sum(batch.token_ids.size for _, batch in batches),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(answer))  # noqa: T201


def _load(task: dict[str, Any]) -> tuple[Any, Any]:
    from db.database import Database
    from db.schema import upgrade
    from producer.checkpoints import find_or_add_model
    from worker.engines.choose import load_engine

    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/registry.db")
        upgrade(database)
        record = find_or_add_model(database, task["model"])
        database.close()
    return load_engine(task["engine"], record, Path(task["engines"]), task["precision"])


if __name__ == "__main__":
    main()
