"""The live bar of a training shows what another process writes into SQL, while it does."""

import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from cli import follow
from db.claims import Claim, claim_chunk, finish_chunk
from db.database import Database
from db.jobs import NewJob, create_job, settle_job
from db.reviews import store_reviews
from db.training import store_metrics
from tests.samples import SomeReview

Train = Callable[..., Claim]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What a terminal of 200 columns would get."""
    file = StringIO()
    monkeypatch.setattr(follow, "notes", Console(file=file, force_terminal=True, width=200, highlight=False))
    return file


@pytest.fixture
def claim(database: Database) -> Claim:
    """A training of 40 steps that a worker has begun."""
    with database.write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview("1", "good")])
        params = {"steps": 40, "early_stopping": "loss"}
        _, (chunk_id,) = create_job(connection, NewJob("finetune", params, [ids]))
        claimed = claim_chunk(connection, chunk_id, "me", 60)
    assert claimed is not None
    return claimed


@pytest.fixture
def watching(database: Database, claim: Claim, screen: StringIO) -> Iterator[None]:
    """Somebody who follows the job, in a thread, until it is over."""
    watcher = threading.Thread(target=follow.follow_job, args=(database, claim.job_id), daemon=True)
    watcher.start()
    yield
    watcher.join(10)
    assert not watcher.is_alive()


def shown(screen: StringIO, words: str) -> bool:
    """Wait until the words are on the screen."""
    for _ in range(100):
        if words in Text.from_ansi(screen.getvalue()).plain:
            return True
        time.sleep(0.05)
    return False


def end(database: Database, claim: Claim) -> None:
    with database.write() as connection:
        finish_chunk(connection, claim, scored=1)
        settle_job(connection, claim.job_id)


def train(database: Database, claim: Claim, step: int, **metrics: float) -> None:
    with database.write() as connection:
        store_metrics(connection, claim.job_id, 1, step, metrics)


@pytest.mark.usefixtures("watching")
def test_step_figures_and_the_time_left(database: Database, claim: Claim, screen: StringIO) -> None:
    train(database, claim, 10, loss=0.6931, accuracy=0.5)
    assert shown(screen, "loss 0.693 · accuracy 0.500")
    train(database, claim, 20, loss=0.4321, accuracy=0.8125)
    assert shown(screen, "step 20/40 · ETA 0:0")
    assert shown(screen, "loss 0.432 · accuracy 0.812 · ")
    train(database, claim, 20, val_loss=0.5, val_accuracy=0.75)
    assert shown(screen, "accuracy 0.812 · val loss 0.500 · val accuracy 0.750 · ")
    assert shown(screen, " steps/s")
    train(database, claim, 40, loss=0.4)
    assert shown(screen, "step 40/40 · evaluating and saving · loss 0.400")
    end(database, claim)
    assert shown(screen, "step 40/40 · done")


@pytest.mark.usefixtures("watching")
def test_a_training_that_stopped_early_is_done_where_it_stopped(
    database: Database, claim: Claim, screen: StringIO
) -> None:
    train(database, claim, 20, loss=0.4)
    end(database, claim)
    assert shown(screen, "step 20/40 · stopped early · done")
