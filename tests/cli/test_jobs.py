"""`reviewmill jobs show` says what went wrong, whole, and what to do."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.job_counts import Told, add_counts
from db.jobs import NewJob, create_job, settle_job
from db.predictions import ScoreFailure, store_score_failures
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from tests.samples import SomeReview, facts

Run = Callable[..., CompletedProcess[str]]
GONE = "the files of sentiment@1 are gone"
SNEEZE = "the model sneezed"


@pytest.fixture
def troubled() -> int:
    """A job of two chunks: of the first one review failed, the second failed whole."""
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview(f"r{n}", f"text {n}") for n in range(4)])
        job_id, (first, second) = create_job(connection, NewJob("score", {}, [ids[:2], ids[2:]], model_id=model.id))
        finish_chunk(connection, claim_chunk(connection, first, "me", 60), scored=1, failed=1)
        store_score_failures(connection, job_id, [ScoreFailure(ids[1], "r1", SNEEZE)])
        settle_job(connection, job_id)
        fail_chunk(connection, claim_chunk(connection, second, "me", 60), GONE)
    return job_id


def test_show_tells_what_failed_why_and_what_to_do(run: Run, troubled: int) -> None:
    shown = run("jobs", "show", troubled)
    assert shown.returncode == 0, shown
    lines = [line.strip() for line in shown.stdout.splitlines()]
    assert "chunks                1 done, 1 failed" in lines
    trouble = lines.index("Chunks in trouble")
    assert lines[trouble + 1 : trouble + 3] == ["chunk 1: failed after 1 attempt, 1 error", GONE]
    assert lines[lines.index("Rows that failed") + 1] == f"review r1: {SNEEZE}"
    assert [line.split()[0] for line in lines[lines.index("What to do") + 1 :]] == ["put", "then"]
    assert lines[-1].endswith("reviewmill jobs retry 1")


def test_show_tells_how_long_reviews_were_read_where_that_was_asked_for(run: Run) -> None:
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview(f"r{n}", f"text {n}") for n in range(3)])
        for params in ({"long": "window"}, {"long": "truncate"}, {}):
            job_id, _ = create_job(connection, NewJob("score", params, [ids], model_id=model.id))
            told = Told(Counter(positive=2, negative=1), Counter(whole=2, window=1))
            add_counts(connection, {job_id: told})
    lines = [line.split() for line in run("jobs", "show", 1).stdout.splitlines()]
    assert ["long", "window"] in lines
    assert ["read", "2", "whole,", "1", "window"] in lines
    told = [json.loads(run("jobs", "show", job_id, "--json").stdout)["readings"] for job_id in (1, 2, 3)]
    assert told == [{"whole": 2, "window": 1}, None, None]


def test_show_tells_how_many_rows_got_which_label(run: Run, troubled: int) -> None:
    with open_database().write() as connection:
        add_counts(connection, {troubled: Told(Counter(positive=2_000, negative=1), Counter(whole=2_001))})
        training, _ = create_job(connection, NewJob("finetune", {}, [[1]]))
    shown = [line.split(maxsplit=1) for line in run("jobs", "show", troubled).stdout.splitlines()]
    assert ["labels", "2,000 positive, 1 negative"] in shown
    labels = [json.loads(run("jobs", "show", id_, "--json").stdout)["labels"] for id_ in (troubled, training)]
    assert labels == [{"positive": 2_000, "negative": 1}, None]


def test_show_tells_the_same_in_json(run: Run, troubled: int) -> None:
    shown = json.loads(run("jobs", "show", troubled, "--json").stdout)
    assert (shown["state"], shown["scored"], shown["failed"]) == ("failed", 1, 3)
    assert (shown["device_busy"], shown["padding"]) == (None, None)  # nothing was inferred
    assert shown["chunk_states"] == {"done": 1, "failed": 1}
    assert [(one["state"], one["errors"], one["error"]) for one in shown["troubles"]] == [("failed", 1, GONE)]
    assert [(one["external_id"], one["reason"]) for one in shown["failures"]] == [("r1", SNEEZE)]
    assert [line.split()[0] for line in shown["advice"]] == ["put", "then"]
