"""The client through real stacks: a team's on each kind of database, and the embedded one; and what its pages show."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from broker.errors import StackError
from broker.redis_server import RedisServer
from producer import Client, JobFailed, Result, Unscored
from tests.receiver import SECRET, Receiver, receiver
from tests.samples import CHECKPOINTS
from tests.system import Start, nothing_runs, wait_until

__all__ = ["receiver"]

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
PAGES = Path(__file__).parents[2]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.csv"
    rows = [f"{word} {number},{label}" for number in range(40) for word, label in (("wonderful", 5), ("terrible", 1))]
    path.write_text("body,stars\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def team(
    server: RedisServer, database_url: str, run: Run, start: Start, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client that is told where its team's servers are, on each kind of database, and a worker beside it."""
    url = f"redis+socket://{server.socket}"
    settings = {
        "REVIEWMILL_REDIS_URL": url,
        "REVIEWMILL_DATABASE_URL": database_url,
        "REVIEWMILL_NOTIFY_SECRET": SECRET,
    }
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", SECRET)
    worker = start("worker", "--devices", "cpu", **settings)
    client = Client(database_url, url)
    yield client
    client.close()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in worker.said()


def references() -> list[dict]:
    rows = json.loads((BERT / "reference.json").read_text())["rows"]
    return [row for row in rows if row["text"].strip() and row["pair"]]


def test_a_team_s_client_scores_trains_and_is_told(team: Client, labelled: Path, receiver: Receiver) -> None:
    rows = references()
    scored = team.score_texts(
        [row["text"] for row in rows], pairs=[row["pair"] for row in rows], model=str(BERT), timeout=240
    )
    for one, row in zip(scored, rows, strict=True):
        assert isinstance(one, Result)
        # What PyTorch's pipeline says of them.
        assert one.probabilities == pytest.approx(row["probabilities"], abs=1e-5)
    training = {"epochs": 4, "batch_size": 8, "learning_rate": 0.005}
    trained = team.finetune(
        labelled, text="body", label="stars", base=str(BERT), name="stars", notify=receiver.url, **training
    )
    assert trained.wait(300).model == "stars@1"
    good, bad, empty = team.score_texts(["wonderful 3", "terrible 3", ""], model="stars", timeout=120)
    assert isinstance(good, Result)
    assert isinstance(bad, Result)
    assert (good.label, bad.label, empty) == ("5", "1", Unscored("", "no text"))
    wait_until(lambda: receiver.told, 30)
    (told,) = receiver.told
    assert (told["event"], told["kind"], told["model"]) == ("job.done", "finetune", "stars@1")
    assert told["metrics"]["test_accuracy"] == 1.0


def test_an_embedded_stack_is_there_for_a_wait_and_gone_afterwards(labelled: Path, home: Path, tmp_path: Path) -> None:
    # Another database than the settings': the stack works for the one that the client was told.
    client = Client(f"sqlite:///{tmp_path / 'own.db'}")
    job = client.score(labelled, text="body", model=str(BERT))
    assert nothing_runs(home)
    ended = job.wait(240)
    assert (ended.state, ended.scored) == ("done", 80)
    assert len(list(job.results())) == 80
    wait_until(lambda: nothing_runs(home), 30)
    broken = client.score(labelled, text="body", model=str(BERT))
    assert broken.cancel()
    with pytest.raises(JobFailed):
        broken.wait()
    client.close()


def test_a_with_block_keeps_the_stack_and_shares_it_with_no_other_database(home: Path, tmp_path: Path) -> None:
    with Client() as client:
        for _ in range(2):
            (one,) = client.score_texts(["wonderful"], model=str(BERT), timeout=240)
            assert isinstance(one, Result)
            assert not nothing_runs(home)
        other = Client(f"sqlite:///{tmp_path / 'other.db'}")
        with pytest.raises(StackError, match=r"works for the database .*reviewmill.db, not for .*other.db"), other:
            pass
    wait_until(lambda: nothing_runs(home), 30)


def test_a_command_on_the_embedded_stack_tells_before_it_ends(
    run: Run, labelled: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", SECRET)
    scored = run(
        "score", labelled, "--text", "body", "--model", BERT, "--notify", receiver.url, "--on-done", "env > told.txt"
    )
    assert scored.returncode == 0, scored
    assert [(told["event"], told["scored"]) for told in receiver.told] == [("job.done", 80)]
    assert f"Notification of {receiver.url}: sent after 1 attempt" in scored.stderr
    assert "REVIEWMILL_JOB_SCORED=80" in (tmp_path / "told.txt").read_text()


def test_the_pages_examples_run(run: Run, labelled: Path, tmp_path: Path) -> None:
    """As they stand, where reviews.csv and a model called stars are."""
    (tmp_path / "reviews.csv").write_text("id,body\n1001,wonderful\n1002,terrible\n")
    assert run("models", "add", BERT, "--name", "stars").returncode == 0
    pages = [(PAGES / name).read_text() for name in ("README.md", "docs/python.md")]
    blocks = [code for page in pages for code in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]
    assert len(blocks) == 4
    base = f'base="{BERT}", epochs=2'
    program = "\n".join(blocks).replace("epochs=2", base)
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said
    lines = said.stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["1001", "1002"]
    assert "Unscored(text='', reason='no text')" in said.stdout
    assert lines[-1] == "stars@2"
