"""Schedules and their runs in SQL: each fires once, runs do not pile up, and what is lost is taken again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import func, select, update

from db.clock import database_time
from db.database import Database
from db.errors import LeaseLost, RunsOverlap, ScheduleExists, UnknownSchedule
from db.jobs import NewJob, cancel_job, create_job, job_status
from db.predictions import Scored, already_scored, store_predictions
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.schedule_runs import (
    HeldRun,
    RunStatus,
    begin_run,
    can_take_run,
    end_with_job,
    fail_run,
    fire,
    give_back_run,
    held_run,
    last_runs,
    renew_run,
    runs_of,
    take_run,
)
from db.schedules import (
    StoredSchedule,
    add_schedule,
    due_schedules,
    find_schedule,
    list_schedules,
    models_used,
    pause_schedule,
    remove_schedule,
    resume_schedule,
)
from db.tables import Job, Schedule, ScheduleRun
from tests.samples import SomeReview, facts, verdict

DAY = timedelta(days=1)
OTHER = Path("/models/other")
LONG_AGO = datetime(2026, 1, 1, 2, tzinfo=UTC)
Add = Callable[..., StoredSchedule]
Fire = Callable[[], str | None]


@pytest.fixture
def add(database: Database) -> Add:
    """Add a schedule that is due since long ago."""

    def make(name: str = "nightly", at: datetime = LONG_AGO, **params: object) -> StoredSchedule:
        given = {"arguments": ["reviews.csv"], "directory": "/", "overlap": "skip", "rescore": False, **params}
        with database.write() as connection:
            return add_schedule(
                connection,
                name,
                cron="0 2 * * *",
                timezone="UTC",
                command="score",
                params=given,
                next_run_at=at,
            )

    return make


@pytest.fixture
def come_due(database: Database) -> Fire:
    """Set the clock forward, in effect: the one schedule is due again, and fires."""
    nights = iter(range(1, 100))

    def fire_again() -> str | None:
        with database.write() as connection:
            connection.execute(update(Schedule).values(next_run_at=LONG_AGO + next(nights) * DAY))
            (due,) = due_schedules(connection)
            return fire(connection, due, database_time(connection) + DAY)

    return fire_again


def take(database: Database, lease_s: float = 60.0, owner: str = "me") -> HeldRun | None:
    with database.write() as connection:
        taken = take_run(connection, owner, lease_s)
    with database.read() as connection:
        assert not (taken and lease_s > 0 and can_take_run(connection))
    return taken


def end(database: Database, run: HeldRun, chunks: list[list[int]] | None = None, model_id: int | None = None) -> int:
    """End the run with a job, which is done at once unless it has chunks."""
    new = NewJob("score", {}, chunks or [], model_id=model_id, schedule_id=run.schedule.id)
    with database.write() as connection:
        job_id, _ = create_job(connection, new)
        end_with_job(connection, run, job_id, skipped=7)
    return job_id


def history(database: Database) -> list[RunStatus]:
    with database.read() as connection:
        (schedule,) = list_schedules(connection)
        return runs_of(connection, schedule.id)


def test_a_schedule_is_kept_as_it_was_given(database: Database, add: Add) -> None:
    berlin = datetime(2026, 11, 24, 2, tzinfo=UTC)
    added = add("weekly", at=berlin)
    add("daily")
    with database.read() as connection:
        assert [one.name for one in list_schedules(connection)] == ["daily", "weekly"]
        assert find_schedule(connection, "weekly") == added
    assert (added.next_run_at, added.enabled, added.last_run_at) == (berlin, True, None)
    assert added.params["arguments"] == ["reviews.csv"]


def test_names_are_taken_once_and_unknown_ones_say_what_there_is(database: Database, add: Add) -> None:
    with database.read() as connection, pytest.raises(UnknownSchedule, match="there are none yet"):
        find_schedule(connection, "nightly")
    add()
    with pytest.raises(ScheduleExists, match="schedule remove nightly"):
        add()
    with database.read() as connection, pytest.raises(UnknownSchedule, match="no schedule daily; there are: nightly"):
        find_schedule(connection, "daily")


def test_only_what_is_due_and_enabled_fires(database: Database, add: Add) -> None:
    with database.read() as connection:
        now = database_time(connection)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)
    add("past")
    add("future", at=now + timedelta(hours=1))
    add("asleep")
    with database.write() as connection:
        assert pause_schedule(connection, "asleep")
        assert [one.name for one in due_schedules(connection)] == ["past"]


def test_however_many_times_were_missed_it_fires_once(database: Database, add: Add) -> None:
    added = add()
    with database.write() as connection:
        assert fire(connection, added, database_time(connection) + DAY) == "waiting"
        assert due_schedules(connection) == []
        moved = find_schedule(connection, "nightly")
    assert moved.last_run_at is not None
    (run,) = history(database)
    assert (run.state, run.scheduled_for, run.outcome) == ("waiting", LONG_AGO, "waiting")


def test_a_time_that_it_fired_for_is_not_fired_for_again(database: Database, add: Add) -> None:
    add()
    for state in ("waiting", None):
        with database.write() as connection:
            connection.execute(update(Schedule).values(next_run_at=LONG_AGO))
            (due,) = due_schedules(connection)
            assert fire(connection, due, database_time(connection) + DAY) == state
    assert len(history(database)) == 1


def test_a_beat_that_looked_before_another_fired_moves_nothing(database: Database, add: Add) -> None:
    seen, coming = add(), datetime(2036, 1, 1, 2, tzinfo=UTC)
    with database.write() as connection:
        assert fire(connection, seen, coming) == "waiting"
        assert fire(connection, seen, coming + DAY) is None
        assert find_schedule(connection, "nightly").next_run_at == coming


def test_of_two_beats_at_once_one_fires(database: Database, add: Add) -> None:
    added = add()
    together = Barrier(4)

    def beat(_: int) -> str | None:
        together.wait()
        with database.write() as connection:
            return fire(connection, added, database_time(connection) + DAY)

    with ThreadPoolExecutor(4) as pool:
        fired = list(pool.map(beat, range(4)))
    assert sorted(map(str, fired)) == ["None", "None", "None", "waiting"]
    assert len(history(database)) == 1


def test_of_two_takers_at_once_one_has_the_run(database: Database, add: Add, come_due: Fire) -> None:
    add()
    come_due()
    together = Barrier(4)

    def taker(number: int) -> HeldRun | None:
        together.wait()
        return take(database, owner=str(number))

    with ThreadPoolExecutor(4) as pool:
        taken = [run for run in pool.map(taker, range(4)) if run is not None]
    assert [(run.attempt, run.deaths, run.schedule.name) for run in taken] == [(1, 0, "nightly")]


def test_a_run_whose_process_was_not_heard_of_is_taken_again_and_the_first_is_fenced_off(
    database: Database, add: Add, come_due: Fire
) -> None:
    add()
    come_due()
    first = take(database, lease_s=-1)
    second = take(database)
    assert first is not None
    assert second is not None
    assert (second.id, second.attempt, second.deaths) == (first.id, 2, 1)
    with pytest.raises(LeaseLost, match="run 1 of schedule nightly is no longer held by attempt 1"):
        end(database, first)
    with database.write() as connection, pytest.raises(LeaseLost):
        renew_run(connection, first, 60)
    job_id = end(database, second)
    with database.read() as connection:
        # The job of the first was undone with its end.
        assert list(connection.scalars(select(Job.id))) == [job_id]
    (run,) = history(database)
    assert (run.outcome, run.job_id, run.skipped, run.job_total) == ("done", job_id, 7, 0)


def test_a_renewed_lease_is_not_taken(database: Database, add: Add, come_due: Fire) -> None:
    add()
    come_due()
    run = take(database, lease_s=-1)
    assert run is not None
    with database.write() as connection:
        renew_run(connection, run, 60)
    assert take(database) is None


def test_what_is_given_back_is_free_at_once_and_nobody_died(database: Database, add: Add, come_due: Fire) -> None:
    add()
    come_due()
    run = take(database)
    assert run is not None
    with database.write() as connection:
        give_back_run(connection, run)
    again = take(database)
    assert again is not None
    assert (again.attempt, again.deaths) == (2, 0)
    with database.read() as connection:
        assert held_run(connection, run.id) == again


def test_a_failed_run_keeps_its_reason_and_the_next_one_comes(database: Database, add: Add, come_due: Fire) -> None:
    add()
    come_due()
    run = take(database)
    assert run is not None
    with database.write() as connection:
        fail_run(connection, run, "no such file: 'reviews.csv'")
    assert come_due() == "waiting"
    newest, failed = history(database)
    assert (failed.outcome, failed.reason, failed.job_id) == ("failed", "no such file: 'reviews.csv'", None)
    with database.read() as connection:
        assert last_runs(connection) == {newest.schedule_id: newest}


@pytest.fixture
def review_ids(database: Database) -> list[int]:
    with database.write() as connection:
        return store_reviews(connection, "reviews.csv", [SomeReview(str(n), f"text {n}") for n in range(4)])


def test_runs_that_would_pile_up_are_skipped(
    database: Database, add: Add, come_due: Fire, review_ids: list[int]
) -> None:
    add()
    assert come_due() == "waiting"
    assert come_due() == "skipped"
    run = take(database)
    assert run is not None
    assert come_due() == "skipped"
    job_id = end(database, run, [review_ids])
    assert come_due() == "skipped"
    assert [one.reason for one in history(database)] == [
        f"job {job_id} of the run before is still pending",
        "the run before still reads its source",
        "another run waits",
        None,
    ]
    assert take(database) is None
    with database.write() as connection:
        cancel_job(connection, job_id)
    assert come_due() == "waiting"


def test_of_runs_that_queue_one_waits_for_the_job_before(
    database: Database, add: Add, come_due: Fire, review_ids: list[int]
) -> None:
    add(overlap="queue")
    come_due()
    first = take(database)
    assert first is not None
    assert come_due() == "waiting"
    assert come_due() == "skipped"
    assert take(database) is None  # the first still reads
    job_id = end(database, first, [review_ids])
    assert take(database) is None  # its job goes on
    with database.write() as connection:
        cancel_job(connection, job_id)
    second = take(database)
    assert second is not None
    assert second.id != first.id


def test_schedules_do_not_wait_for_one_another(database: Database, add: Add, review_ids: list[int]) -> None:
    for name in ("hourly", "nightly"):
        added = add(name)
        with database.write() as connection:
            fire(connection, added, database_time(connection) + DAY)
    first, second = take_unchecked(database), take_unchecked(database)
    assert {run.schedule.name for run in (first, second) if run} == {"hourly", "nightly"}


def take_unchecked(database: Database) -> HeldRun | None:
    with database.write() as connection:
        return take_run(connection, "me", 60)


def test_a_run_by_hand_is_taken_at_once_and_overlaps_nothing(
    database: Database, add: Add, come_due: Fire, review_ids: list[int]
) -> None:
    added = add(at=datetime(2036, 1, 1, tzinfo=UTC))
    with database.write() as connection:
        run = begin_run(connection, "nightly", "me", 60, rescore=True)
        assert held_run(connection, run.id) == replace(run, schedule=find_schedule(connection, "nightly"))
        # Its turn stays where it is.
        assert find_schedule(connection, "nightly").next_run_at == added.next_run_at
    assert (run.attempt, run.rescore) == (1, True)
    job_id = end(database, run, [review_ids])
    with database.write() as connection, pytest.raises(RunsOverlap, match=f"job {job_id} of the run before is still p"):
        begin_run(connection, "nightly", "me", 60)
    assert come_due() == "skipped"


def test_a_run_by_hand_takes_the_one_that_waits(database: Database, add: Add, come_due: Fire) -> None:
    add()
    come_due()
    with database.write() as connection:
        run = begin_run(connection, "nightly", "me", 60, rescore=True)
    (only,) = history(database)
    assert (run.id, run.rescore, only.state, only.scheduled_for) == (only.id, True, "running", LONG_AGO + DAY)
    assert take(database) is None


def test_a_run_by_hand_does_not_wait_for_the_dead(database: Database, add: Add) -> None:
    add()
    with database.write() as connection:
        dead = begin_run(connection, "nightly", "me", -1)
        run = begin_run(connection, "nightly", "me", 60)
        with pytest.raises(LeaseLost):
            renew_run(connection, dead, 60)
    assert run.id != dead.id
    assert [one.state for one in history(database)] == ["running", "failed"]
    assert history(database)[1].reason == "the process that read its source was not heard of again"


def test_pausing_lets_nothing_begin_and_resuming_makes_up_for_nothing(
    database: Database, add: Add, come_due: Fire
) -> None:
    add()
    come_due()
    with database.write() as connection:
        assert pause_schedule(connection, "nightly")
        assert not pause_schedule(connection, "nightly")
        assert due_schedules(connection) == []
    assert take(database) is None
    (run,) = history(database)
    assert (run.outcome, run.reason) == ("skipped", "the schedule was paused")
    coming = datetime(2036, 1, 1, 2, tzinfo=UTC)
    with database.write() as connection:
        assert resume_schedule(connection, "nightly", coming)
        assert not resume_schedule(connection, "nightly", coming + DAY)
        assert find_schedule(connection, "nightly").next_run_at == coming
        assert due_schedules(connection) == []


def test_what_was_due_when_it_was_paused_does_not_fire(database: Database, add: Add) -> None:
    seen = add()
    with database.write() as connection:
        pause_schedule(connection, "nightly")
        assert fire(connection, seen, database_time(connection) + DAY) is None


def test_removing_keeps_the_jobs(database: Database, add: Add, come_due: Fire, review_ids: list[int]) -> None:
    add()
    come_due()
    run = take(database)
    assert run is not None
    job_id = end(database, run, [review_ids])
    with database.read() as connection:
        assert job_status(connection, job_id).schedule_id == run.schedule.id
    with database.write() as connection:
        assert remove_schedule(connection, "nightly") == 1
        assert (job_status(connection, job_id).state, job_status(connection, job_id).schedule_id) == ("pending", None)
        assert connection.scalar(select(func.count()).select_from(ScheduleRun)) == 0
    add()  # the name is free again


def test_a_run_that_is_read_while_its_schedule_is_removed_makes_no_job(
    database: Database, add: Add, come_due: Fire
) -> None:
    add()
    come_due()
    run = take(database)
    assert run is not None
    with database.write() as connection:
        remove_schedule(connection, "nightly")
        assert held_run(connection, run.id) is None
    with pytest.raises(LeaseLost):
        end(database, replace(run, schedule=replace(run.schedule, id=None)))  # type: ignore[arg-type]


def test_a_schedule_knows_the_versions_it_scored_with(
    database: Database, add: Add, come_due: Fire, model: RegisteredModel
) -> None:
    add()
    come_due()
    run = take(database)
    assert run is not None
    with database.write() as connection:
        other = register_model(connection, "other", OTHER, facts("e" * 64), kind="directory")
        assert models_used(connection, run.schedule.id) == []
    end(database, run, model_id=model.id)
    with database.read() as connection:
        assert models_used(connection, run.schedule.id) == [model.id]
    assert other.id != model.id


def test_what_was_scored_in_a_precision_that_serves_is_known(
    database: Database, model: RegisteredModel, review_ids: list[int]
) -> None:
    with database.write() as connection:
        other = register_model(connection, "other", OTHER, facts("e" * 64), kind="directory")
        job_id, _ = create_job(connection, NewJob("score", {}, [review_ids], model_id=model.id))
        precisions = ("float32", "int8", "null")
        answers = [
            Scored(id_, job_id, verdict(0.9)._replace(precision=precision))
            for id_, precision in zip(review_ids, precisions, strict=False)
        ]
        store_predictions(connection, model.id, answers)
    exact, quantized, made_up, _new = review_ids
    with database.read() as connection:

        def known(asked: str | None, *models: int) -> set[int]:
            return already_scored(connection, review_ids, list(models), asked)

        assert known(None, model.id) == known("auto", model.id) == known("int8", model.id) == {exact, quantized}
        assert known("float32", model.id) == known("bfloat16", model.id) == {exact}
        assert known(None, other.id) == set()
        assert known(None, other.id, model.id) == {exact, quantized}
        assert already_scored(connection, [quantized, made_up], [model.id], None) == {quantized}
