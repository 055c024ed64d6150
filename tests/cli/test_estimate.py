"""`reviewmill estimate`, and what `score` says before a large job."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import insert

from broker.redis_server import RedisServer
from cli import score as score_command
from cli.main import reviewmill
from db.registry import find_model
from db.schema import open_database
from db.tables import Chunk, Job
from db.workers import SignOfLife, register_worker
from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
WORDS = "it works as described and came a day early " * 6


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("id,body\n" + "".join(f"{number},review number {number:06} {WORDS}\n" for number in range(20_000)))
    return path


def measured(device: str, tokens: int, device_s: float) -> None:
    """A chunk of bert@1 that took so long on the device."""
    with open_database().write() as connection:
        model = find_model(connection, "bert")
        job_id = connection.scalar(insert(Job).values(kind="score", model_id=model.id).returning(Job.id))
        took = {"device": device, "tokens": tokens, "device_s": device_s, "state": "done"}
        connection.execute(insert(Chunk).values(job_id=job_id, position=0, size=0, review_ids=[], **took))


def facts(result: CompletedProcess[str]) -> dict[str, str]:
    assert result.returncode == 0, result
    heading, *lines = result.stdout.splitlines()
    return {"heading": heading, **{line[2:17].strip(): line[18:] for line in lines}}


def test_what_is_not_known_is_said_plainly(run: Run, reviews: Path) -> None:
    told = facts(run("estimate", reviews, "--text", "body", "--model", BERT))
    assert told["heading"] == "reviews.csv, by the first 2,000 of its rows"
    assert told["rows"] == "about 20,000"
    assert told["already scored"] == "0.0% of the texts, by bert@1"
    assert told["duration"].startswith("unknown: bert@1 has not been measured on ")
    assert "`score --limit 5000` measures it" in told["duration"]
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_the_workers_that_are_alive_are_counted_with(
    run: Run, reviews: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    ask = ("estimate", reviews, "--text", "body", "--model", BERT)
    assert facts(run(*ask))["duration"] == "unknown: no worker is alive; start one with `reviewmill worker`"
    measured("cpu@box", 1_000, 10.0)
    measured("cpu@gone", 1_000_000, 1.0)
    for device, queues in (("cpu@box", ["score"]), ("gpu0@new", ["score", "train"]), ("gpu1@new", ["train"])):
        sign = SignOfLife(f"{device}:1", "box", 1, device, queues, "auto", [], "0.1.0", 0.0, 0.0)
        with open_database().write() as connection:
            register_worker(connection, sign)
    words = facts(run(*ask))["duration"]
    told = json.loads(run(*ask, "--json").stdout)
    assert told["devices"] == ["cpu@box", "gpu0@new"]
    assert told["tokens_per_second"] == {"cpu@box": {"low": 100.0, "high": 100.0}}
    assert told["seconds"] == [told["tokens_to_score"] / 100] * 2
    assert told["rows_are_exact"] is False
    assert told["sample"]["rows"] == 2_000
    assert words.startswith("about ")
    assert words.endswith(" of computing on cpu@box; less with gpu0@new, not measured yet")


def test_a_small_source_is_counted_to_the_last(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text('body\ngood film\nbad film\nbad film\n\n""\n')
    told = facts(run("estimate", "r.csv", "--model", BERT))
    assert told["heading"] == "r.csv, by all its 4 rows"
    assert (told["rows"], told["to score"], told["bad rows"]) == ("4", "2", "25.0%")
    assert told["duplicates"] == "33.3% repeat a text"
    assert told["tokens"] == "15, 5.0 a review"


def test_a_model_without_a_tokenizer_file_leaves_tokens_open(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("body\ngood film\n")
    (tmp_path / "bare").mkdir()
    for path in BERT.iterdir():
        if path.name != "tokenizer.json":
            (tmp_path / "bare" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bare" / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    told = facts(run("estimate", "r.csv", "--model", "./bare"))
    assert told["tokens"] == "unknown: bare@1 has no tokenizer.json"
    assert told["truncated"] == "unknown"
    assert told["duration"].startswith("unknown")


def test_a_large_job_is_estimated_before_it_is_enqueued(
    reviews: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where a million can be made a smaller number."""
    monkeypatch.setattr(score_command, "_LARGE", 10_000)
    arguments = ["score", str(reviews), "--text", "body", "--id", "id", "--model", str(BERT), "--no-wait", "--json"]
    assert reviewmill.main([*arguments, "--limit", "10000"], standalone_mode=False) == 0
    assert "by the first" not in capsys.readouterr().err
    assert reviewmill.main(arguments, standalone_mode=False) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["total"] == 20_000
