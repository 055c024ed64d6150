"""Enqueuing alone: `python -m bench.enqueue_only SOURCE DATABASE MODEL` in a process of its own."""

import json
import sys
import time

from db.database import Database
from db.schema import upgrade
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import open_source


def main() -> None:
    """Print the seconds from opening the file to the job's commit."""
    source, path, checkpoint = sys.argv[1:]
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    model = find_or_add_model(database, checkpoint)
    doorway = Doorway(database, None, ProducerSettings())
    began = time.perf_counter()
    doorway.enqueue_scoring(open_source(source), Columns("text", id="id"), model)
    print(json.dumps({"seconds": time.perf_counter() - began}))  # noqa: T201


if __name__ == "__main__":
    main()
