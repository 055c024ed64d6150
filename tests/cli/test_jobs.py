"""`reviewmill jobs show` says what went wrong and what to do; `jobs retry` does it."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from broker.redis_server import RedisServer
from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.jobs import NewJob, cancel_job, create_job, settle_job
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
    words = " ".join(shown.stdout.split())
    for said in (GONE, SNEEZE, "r1", "1 done, 1 failed", "put the model's folder back", "reviewmill jobs retry 1"):
        assert said in words


def test_show_tells_the_same_in_json(run: Run, troubled: int) -> None:
    shown = json.loads(run("jobs", "show", troubled, "--json").stdout)
    assert (shown["state"], shown["scored"], shown["failed"]) == ("failed", 1, 3)
    assert shown["chunk_states"] == {"done": 1, "failed": 1}
    assert [(one["state"], one["errors"], one["error"]) for one in shown["troubles"]] == [("failed", 1, GONE)]
    assert [(one["external_id"], one["reason"]) for one in shown["failures"]] == [("r1", SNEEZE)]
    assert [line.split()[0] for line in shown["advice"]] == ["put", "then"]


def test_retry_runs_what_failed_and_nothing_else(
    run: Run, troubled: int, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    retried = run("jobs", "retry", troubled, "--no-wait")
    assert retried.returncode == 0, retried
    assert "Of job 1, 1 chunks and 1 single reviews run again." in retried.stderr
    shown = json.loads(run("jobs", "show", troubled, "--json").stdout)
    assert (shown["state"], shown["scored"], shown["failed"]) == ("pending", 1, 0)
    assert shown["chunk_states"] == {"done": 1, "pending": 2}
    assert shown["failures"] == []


def test_a_cancelled_job_and_one_that_is_not_there_are_refused_in_a_line(run: Run, troubled: int) -> None:
    with open_database().write() as connection:
        job_id, _ = create_job(connection, NewJob("score", {}, [[1]], model_id=1))
        cancel_job(connection, job_id)
    for job, words in ((job_id, "was cancelled; score its source again"), (77, "there is no job 77; the newest is 2")):
        refused = run("jobs", "retry", job)
        assert refused.returncode == 2
        assert words in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
    assert json.loads(run("jobs", "show", troubled, "--json").stdout)["state"] == "failed"
