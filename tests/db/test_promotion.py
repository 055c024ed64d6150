"""Aliases: one version of a name at a time, and no worse one unless it is forced."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from db.claims import claim_chunk, finish_chunk
from db.database import Database
from db.errors import BadAlias, UnknownModel, WorseModel
from db.jobs import NewJob, create_job, settle_job
from db.predictions import Scored, store_predictions
from db.promotion import Promotion, promote
from db.registry import RegisteredModel, find_model, list_models, register_model, versions_of
from db.reviews import store_reviews
from tests.samples import SomeReview, facts, verdict


def version(database: Database, metrics: dict[str, float], **digests: str) -> RegisteredModel:
    """A new version of `taste`, with digests of its splits."""
    splits = {name: {"examples": 9, "digest": digest} for name, digest in digests.items()}
    with database.write() as connection:
        number = len(versions_of(connection, "taste"))
        return register_model(
            connection,
            "taste",
            Path("/models/taste"),
            facts(str(number)),
            kind="finetuned",
            metrics=metrics,
            provenance={"data": {"digest": "all", "splits": splits}},
        )


def move(database: Database, reference: str, alias: str = "production", *, force: bool = False) -> Promotion:
    with database.write() as connection:
        return promote(connection, reference, alias, force=force)


def aliases(database: Database) -> list[list[str]]:
    with database.read() as connection:
        return [model.aliases for model in list_models(connection)]


def test_an_alias_stands_on_one_version_of_a_name(database: Database) -> None:
    first, second = (version(database, {}) for _ in range(2))
    with database.write() as connection:
        register_model(connection, "other", Path("/m"), facts(), kind="directory")
    assert move(database, "other").holder is None
    assert move(database, "taste@1").model.aliases == ["production"]
    assert move(database, "taste@1", "Blue-2.x").model.aliases == ["Blue-2.x", "production"]
    moved = move(database, "taste")
    assert (moved.holder.id, moved.model.id, moved.contest) == (first.id, second.id, None)  # type: ignore[union-attr]
    assert aliases(database) == [["production"], ["Blue-2.x"], ["production"]]
    assert move(database, "taste@Blue-2.x").model.version == 1
    with database.read() as connection:
        assert find_model(connection, "taste@production").version == 1
        with pytest.raises(UnknownModel, match=r"its versions are 1 \(Blue-2.x, production\), 2$"):
            find_model(connection, "taste@7")


@pytest.mark.parametrize(
    ("metric", "before", "worse", "better"),
    [
        ("validation_accuracy", 0.8, 0.79, 0.81),
        ("test_accuracy", 0.8, 0.79, 0.81),
        ("validation_mae", 0.3, 0.31, 0.29),
        ("test_mae", 0.3, 0.31, 0.29),
    ],
)
def test_a_worse_version_is_refused_on_the_same_examples(
    database: Database, metric: str, before: float, worse: float, better: float
) -> None:
    split = metric.partition("_")[0]
    for value in (before, worse, before, better):
        version(database, {metric: value}, **{split: "same", "train": str(value)})
    move(database, "taste@1")
    with pytest.raises(WorseModel, match=f"taste@2 is worse than taste@1.*{metric} {worse:.4f} after {before:.4f}"):
        move(database, "taste@2")
    assert aliases(database) == [["production"], [], [], []]
    assert move(database, "taste@3").contest.challenger == before  # type: ignore[union-attr]
    assert not move(database, "taste@4").contest.is_lost  # type: ignore[union-attr]
    assert move(database, "taste@2", force=True).contest.is_lost  # type: ignore[union-attr]
    assert aliases(database) == [[], ["production"], [], []]


@pytest.mark.parametrize(
    ("metrics", "digests"),
    [
        ({"validation_accuracy": 0.1}, {"validation": "others"}),
        ({"test_accuracy": 0.1}, {"validation": "same"}),
        ({"validation_accuracy": None}, {"validation": "same"}),
        ({}, {"validation": "same"}),
        ({"validation_accuracy": 0.1}, {}),
        ({"validation_mae": 0.1}, {"validation": "same"}),
    ],
)
def test_what_cannot_be_compared_moves(database: Database, metrics: dict[str, Any], digests: dict[str, str]) -> None:
    version(database, {"validation_accuracy": 0.9}, validation="same")
    version(database, metrics, **digests)
    move(database, "taste@1")
    assert move(database, "taste@2").contest is None
    assert aliases(database) == [[], ["production"]]


def test_the_test_split_decides_where_both_have_it(database: Database) -> None:
    for validation, test in ((0.8, 0.9), (0.9, 0.8)):
        version(database, {"validation_accuracy": validation, "test_accuracy": test}, validation="v", test="t")
    version(database, {"validation_accuracy": 0.7, "test_accuracy": 1.0}, validation="v", test="another")
    move(database, "taste@1")
    for reference, metric in (("taste@2", "test_accuracy"), ("taste@3", "validation_accuracy")):
        with pytest.raises(WorseModel, match=metric):
            move(database, reference)


@pytest.mark.parametrize("alias", ["7", "007", "", "two words", "a@b", "ä", ".hidden", "-a", "x" * 65, "a\n"])
def test_what_no_alias_can_be(database: Database, alias: str) -> None:
    version(database, {})
    with pytest.raises(BadAlias, match="letters, digits") as raised:
        move(database, "taste", alias)
    assert "\n" not in str(raised.value)
    assert aliases(database) == [[]]


def test_an_unknown_version_moves_nothing(database: Database) -> None:
    version(database, {})
    move(database, "taste@1")
    for reference in ("taste@2", "nobody"):
        with pytest.raises(UnknownModel):
            move(database, reference)
    assert aliases(database) == [["production"]]


def test_of_many_promotions_at_once_one_version_holds_the_alias(database: Database) -> None:
    for _ in range(4):
        version(database, {})
    at_once = threading.Barrier(4)

    def race(number: int) -> Promotion:
        at_once.wait()
        return move(database, f"taste@{number}")

    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(race, range(1, 5)))
        assert sorted(aliases(database)) == [[], [], [], ["production"]]


def test_a_worse_one_cannot_slip_in_beside_a_better_one(database: Database) -> None:
    for value in (0.7, 0.9, 0.8):
        version(database, {"validation_accuracy": value}, validation="same")
    move(database, "taste@1")
    better = threading.Event()

    def slip_in() -> None:
        better.wait()
        move(database, "taste@3")

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slip_in)
        with database.write() as connection:
            promote(connection, "taste@2", "production")
            better.set()
            # It waits for this transaction, to see what it has to compete with.
            with pytest.raises(TimeoutError):
                late.result(0.5)
        with pytest.raises(WorseModel, match="taste@3 is worse than taste@2"):
            late.result(60)
    assert aliases(database) == [[], ["production"], []]


def test_a_promotion_does_not_wait_for_predictions_that_are_being_stored(database: Database) -> None:
    model = version(database, {})
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview("1", "good")])
        job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        claim = claim_chunk(connection, chunk_id, "me", 60)
    assert claim is not None

    with database.write() as connection:
        finish_chunk(connection, claim, scored=1)
        store_predictions(connection, model.id, [Scored(ids[0], job_id, verdict(0.9))])
        settle_job(connection, job_id)
        if not database.is_sqlite:  # which has one writer at a time
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(move, database, "taste@1").result(20).model.version == 1
