"""The whole system behind the shipped users of Redis and PostgreSQL: each with its own, and no more than it may."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Connection, text

from cli.main import main
from db.claims import Claim, claim_chunk
from db.database import Database
from db.jobs import NewJob, create_job, job_status
from db.registry import register_model
from db.reviews import store_reviews
from db.suspects import quarantine, split_chunk
from tests.broker.test_acl import PASSWORDS, fill_in
from tests.certificates import make_authority
from tests.locked import LockedDatabase, locked_database
from tests.receiver import SECRET, Receiver, receiver
from tests.redis_servers import client, redis_on_a_port, tls_server, wheel_server
from tests.samples import CHECKPOINTS, SomeReview, facts
from tests.system import Start, Started, wait_until

__all__ = ["locked_database", "receiver"]

BERT = CHECKPOINTS / "bert"


@dataclass
class Doors:
    """Where everything is, for whom, and the command line of each user in this process."""

    redis_url: str
    database: LockedDatabase
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def environment(self, user: str) -> dict[str, str]:
        """The settings of `producer` or `worker`; of SQL's other users, with the producer's Redis."""
        name = user if user in PASSWORDS else "producer"
        redis_url = self.redis_url.format(user=f"{name}:{quote(PASSWORDS[name], safe='')}")
        return {"REVIEWMILL_REDIS_URL": redis_url, "REVIEWMILL_DATABASE_URL": self.database.url(user)}

    def run(self, user: str, *arguments: object) -> tuple[int, str, str]:
        """Run a command as that user; its exit code, and what it said on both outputs."""
        for name, value in self.environment(user).items():
            self.monkeypatch.setenv(name, value)
        self.capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = int(left.code or 0)
        else:
            code = 0
        return code, *self.capsys.readouterr()

    def ask(self, user: str, *arguments: object) -> str:
        """The same, of a command that has to succeed."""
        code, said, told = self.run(user, *arguments)
        assert code == 0, (arguments, told)
        return said


@pytest.fixture
def doors(
    tmp_path: Path,
    locked_database: LockedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Doors]:
    monkeypatch.setenv("REVIEWMILL_SWEEP_S", "0.5")
    monkeypatch.chdir(tmp_path)
    with redis_on_a_port(wheel_server(), tmp_path, aclfile=fill_in(tmp_path)) as port:
        yield Doors(f"redis://{{user}}@127.0.0.1:{port}/0", locked_database, monkeypatch, capsys)
        # Nobody was ever refused at his own work, but for CLIENT SETINFO, by which the client library tells its name.
        refused = client(port, "admin", PASSWORDS["admin"]).acl_log()
        assert [one for one in refused if one["object"] != "client"] == []


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    rows = [f"{number},wonderful or terrible number {number},north" for number in range(60)]
    path.write_text("\n".join(["key,body,shop", *rows, "bad,,south"]) + "\n")
    return path


def stop(process: Started) -> str:
    process.send_signal(signal.SIGTERM)
    assert process.wait(180) == 0
    said = process.said()
    assert "permission denied" not in said
    assert "Traceback" not in said
    return said


def test_every_day_behind_locked_doors(
    doors: Doors, start: Start, reviews: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", SECRET)
    ask = doors.ask
    columns = ("--text", "body", "--id", "key", "--keep", "shop")
    score = ("score", reviews, *columns, "--model", "m", "--no-wait")
    ask("producer", "models", "add", BERT, "--name", "m")
    ask("producer", "models", "promote", "m@1", "production")
    ask("producer", *score)
    ask("producer", "jobs", "cancel", 1)
    worker = start("worker", "--devices", "cpu", **doors.environment("worker"))
    ask("producer", *score, "--notify", receiver.url)
    done = json.loads(ask("producer", "jobs", "watch", 2, "--json"))
    assert (done["state"], done["scored"], done["failed"]) == ("done", 60, 1)
    wait_until(lambda: receiver.told)
    # What is kept of a review that is known changes.
    reviews.write_text(reviews.read_text().replace("north", "east"))
    ask("producer", *score)
    assert json.loads(ask("producer", "jobs", "watch", 3, "--json"))["reused"] == 60
    ask("producer", "jobs", "retry", 3)
    first = json.loads(ask("producer", "results", "--job", 2, "--format", "jsonl").splitlines()[0])
    (reviews.parent / "right.csv").write_text(f"external_id,label\n{first['external_id']},{first['label']}\n")
    ask("producer", "labels", "import", "right.csv", "--model", "m@1", "--source", "reviews.csv")
    for command in (
        *(("jobs", "list"), ("jobs", "show", 2), ("labels", "list"), ("labels", "accuracy"), ("models", "list")),
        *(
            ("models", "show", "m"),
            ("report", "--job", 2, "-o", "page.html"),
            ("estimate", reviews, *columns[:2], "--model", "m"),
        ),
        ("results", "--job", 2, "--where", "shop=east"),
    ):
        ask("producer", *command)
    _a_night(doors, start)
    stop(worker)
    for command in (("jobs", "list"), ("results", "--job", 2), ("report", "--job", 2, "-o", "page.html")):
        ask("reader", *command)


def test_fine_tuning_behind_locked_doors(doors: Doors, start: Start, tmp_path: Path) -> None:
    rows = [f"{word} {number},{word}\n" for number in range(20) for word in ("good", "bad")]
    (tmp_path / "labelled.csv").write_text("body,stars\n" + "".join(rows))
    columns = ("--text", "body", "--label", "stars", "--epochs", 1, "--batch-size", 32)
    doors.ask("producer", "finetune", "labelled.csv", *columns, "--base", BERT, "--name", "stars", "--no-wait")
    worker = start("worker", "--devices", "cpu", **doors.environment("worker"))
    (job,) = json.loads(doors.ask("producer", "jobs", "list", "--json", "--limit", 1))
    assert json.loads(doors.ask("producer", "jobs", "watch", job["id"], "--json"))["state"] == "done"
    assert "stars" in doors.ask("reader", "models", "show", "stars")
    stop(worker)


def _a_night(doors: Doors, start: Start) -> None:
    """A schedule that is due is run by a beat, which is a producer."""
    scored = ("score", "reviews.csv", "--text", "body", "--id", "key", "--model", "m")
    doors.ask("producer", "schedule", "add", "nightly", "--cron", "0 2 1 1 *", "--", *scored)
    doors.ask("producer", "schedule", "pause", "nightly")
    doors.ask("producer", "schedule", "resume", "nightly")
    with doors.database.connect("owner") as connection:
        connection.execute(text("UPDATE schedules SET next_run_at = now() - interval '1 hour'"))
        connection.commit()
    beat = start("beat", **doors.environment("producer"))

    def outcome() -> object:
        (listed,) = json.loads(doors.ask("producer", "schedule", "list", "--json"))
        return listed["last_run"] and listed["last_run"]["outcome"]

    wait_until(lambda: outcome() == "done")
    stop(beat)
    doors.ask("producer", "schedule", "remove", "nightly")


def test_what_is_the_owner_s_is_refused_in_a_line_and_nothing_is_lost(doors: Doors, reviews: Path) -> None:
    columns = ("--text", "body", "--id", "key")
    doors.ask("producer", "score", reviews, *columns, "--model", BERT, "--no-wait")
    before = _rows(doors)
    for user, *command in (
        ("producer", "forget", "7", "--yes"),
        ("producer", "vacuum", "--yes"),
        ("worker", "score", reviews, *columns, "--model", BERT, "--no-wait"),
        ("reader", "score", reviews, *columns, "--model", BERT, "--no-wait"),
        ("reader", "jobs", "cancel", 1),
        ("reader", "models", "add", CHECKPOINTS / "distilbert", "--name", "mine"),
    ):
        code, said, told = doors.run(user, *command)
        assert (code, said) == (2, ""), (command, said, told)
        line = told.strip().splitlines()[-1]
        assert "does not let this user do that: permission denied" in line, (command, told)
        assert "Traceback" not in told
    assert _rows(doors) == before
    doors.ask("owner", "forget", "7", "--yes")
    assert _rows(doors)["reviews"] == before["reviews"] - 1


def _rows(doors: Doors) -> dict[str, int]:
    def count(connection: Connection, table: str) -> int:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()

    with doors.database.connect("owner") as connection:
        return {table: count(connection, table) for table in ("reviews", "jobs", "models", "chunks", "failures")}


def test_a_worker_may_split_what_kills_it_and_put_the_killer_aside(locked_database: LockedDatabase) -> None:
    """What happens after the third death of a worker, without the deaths."""
    producer, worker = Database(locked_database.url("producer")), Database(locked_database.url("worker"))

    def take(chunk_id: int) -> Claim:
        with worker.write() as connection:
            claim = claim_chunk(connection, chunk_id, "me", 60.0)
        assert claim is not None
        return claim

    with producer.write() as connection:
        model = register_model(connection, "suspect", Path("/models/suspect"), facts(), kind="directory")
        ids = store_reviews(
            connection, "suspects.csv", [SomeReview(str(number), f"text {number}") for number in (1, 2)]
        )
        job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
    with worker.write() as connection:
        halves = split_chunk(connection, claim_chunk(connection, chunk_id, "me", 60.0), 3)
    for half in halves:
        claim = take(half.chunk_id)
        with worker.write() as connection:
            quarantine(connection, claim, "it killed its worker")
    with producer.read() as connection:
        status = job_status(connection, job_id)
    assert (status.state, status.failed) == ("done", 2)
    producer.close()
    worker.close()


def test_a_job_over_tls(
    locked_database: LockedDatabase,
    tmp_path: Path,
    start: Start,
    reviews: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    authority = make_authority(tmp_path, "ours")
    shown = authority.sign("server", "DNS:localhost")
    tls = {"tls_cert_file": shown.certificate, "tls_key_file": shown.key, "tls_auth_clients": "no", "port": 0}
    files = {**tls, "tls_port": "{port}", "aclfile": fill_in(tmp_path)}
    monkeypatch.setenv("REVIEWMILL_REDIS_CA_FILE", str(authority.certificate))
    with redis_on_a_port(tls_server(), tmp_path, **files) as port:
        doors = Doors(f"rediss://{{user}}@localhost:{port}/0", locked_database, monkeypatch, capsys)
        worker = start("worker", "--devices", "cpu", **doors.environment("worker"))
        job = json.loads(doors.ask("producer", "score", reviews, "--text", "body", "--model", BERT, "--json"))
        assert (job["state"], job["scored"] + job["reused"]) == ("done", 60)
        stop(worker)
        other = make_authority(tmp_path, "theirs")
        monkeypatch.setenv("REVIEWMILL_REDIS_CA_FILE", str(other.certificate))
        for command in (("score", reviews, "--text", "body", "--model", BERT, "--no-wait"), ("worker",), ("beat",)):
            code, said, told = doors.run("producer", *command)
            assert (code, said) == (2, "")
            (line,) = told.strip().splitlines()
            assert "shows a certificate that is not trusted" in line
