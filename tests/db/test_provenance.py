"""The same labelled texts are the same data, whatever their ids and order."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job
from db.provenance import data_of_job
from db.reviews import store_reviews
from tests.samples import SomeReview

Labelled = tuple[str, str | None, str]
DATA = [("Zebra", "good", "train"), ("ähnlich", "schlecht", "train"), ("apple", "good", "validation")]


def data_of(database: Database, source: str, labelled: Sequence[Labelled]) -> dict[str, Any]:
    reviews = [SomeReview(f"{source}-{number}", text) for number, (text, _, _) in enumerate(labelled)]
    with database.write() as connection:
        ids = store_reviews(connection, source, reviews)
        examples = [LabelledReview(id_, label, split) for id_, (_, label, split) in zip(ids, labelled, strict=True)]
        job_id, _ = create_job(connection, NewJob("finetune", {}, [ids], examples=examples))
        return data_of_job(connection, job_id)


def sha256(*rows: tuple[str, ...]) -> str:
    lines = sorted([hashlib.sha256(f"{row[0]}|None".encode()).hexdigest(), *row[1:]] for row in rows)
    return hashlib.sha256("".join(json.dumps(line) + "\n" for line in lines).encode()).hexdigest()


def test_the_digests_are_of_what_is_learned_and_what_is_held_out(database: Database) -> None:
    assert data_of(database, "a.csv", DATA) == {
        "digest": sha256(*DATA),
        "splits": {
            "train": {"examples": 2, "digest": sha256(("Zebra", "good"), ("ähnlich", "schlecht"))},
            "validation": {"examples": 1, "digest": sha256(("apple", "good"))},
        },
    }


def test_ids_sources_and_order_are_not_in_it(database: Database) -> None:
    assert data_of(database, "a.csv", DATA) == data_of(database, "b.csv", DATA[::-1])


def test_another_label_or_split_is(database: Database) -> None:
    whole = data_of(database, "a.csv", DATA)
    other_label = data_of(database, "b.csv", [*DATA[:2], ("apple", "bad", "validation")])
    assert other_label["digest"] != whole["digest"]
    assert other_label["splits"]["train"] == whole["splits"]["train"]
    assert other_label["splits"]["validation"] != whole["splits"]["validation"]
    other_split = data_of(database, "c.csv", [*DATA[:2], ("apple", "good", "test")])
    assert other_split["digest"] != whole["digest"]
    assert other_split["splits"]["test"] == whole["splits"]["validation"]


def test_no_label_is_another_than_an_empty_one(database: Database) -> None:
    digests = {
        data_of(database, source, [("same", first, "train"), ("same", second, "train")])["digest"]
        for source, first, second in (("a", None, None), ("b", None, ""), ("c", "", None), ("d", "", ""))
    }
    assert len(digests) == 3


def test_a_job_without_examples_has_no_splits(database: Database) -> None:
    assert data_of(database, "a.csv", []) == {"digest": sha256(), "splits": {}}
