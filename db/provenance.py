"""What a fine-tuning job learned from and was judged on, as digests: the same data give the same digest."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from db.tables import Example, Review


def data_of_job(connection: Connection, job_id: int) -> dict[str, Any]:
    """The examples of a fine-tuning job: one `digest` of all, and of each split its `examples` and its `digest`.

    A digest is the SHA-256, in hex, of the sorted (text hash, label, split) of the examples; of one split, of its
    (text hash, label). Neither ids nor sources nor the order of rows are in it, so that the same labelled texts
    are the same data wherever they come from.
    """
    found = connection.execute(
        select(Review.text_hash, Example.label, Example.split)
        .join(Review, Review.id == Example.review_id)
        .where(Example.job_id == job_id)
    )
    examples = [tuple(row) for row in found]
    splits = defaultdict(list)
    for text_hash, label, split in examples:
        splits[split].append((text_hash, label))
    of_splits = {name: {"examples": len(rows), "digest": _digest(rows)} for name, rows in sorted(splits.items())}
    return {"digest": _digest(examples), "splits": of_splits}


def _digest(rows: Iterable[tuple[str | None, ...]]) -> str:
    total = hashlib.sha256()
    # Sorted here: databases sort text by languages of their own. An example without a label has none to compare.
    for row in sorted(rows, key=lambda row: [(value is not None, value or "") for value in row]):
        total.update(json.dumps(row).encode() + b"\n")
    return total.hexdigest()
