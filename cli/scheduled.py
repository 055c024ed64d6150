"""One run of a schedule: its command's arguments are read where they were given, and what they ask for is enqueued.

`python -m cli.scheduled RUN_ID ATTEMPT` does so for a run that a beat has taken, in a process of its own: the working
directory is the schedule's, reading may take long, and its memory is given back.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import replace

import click
import structlog
from celery import Celery

from broker.app import make_app
from broker.settings import BrokerSettings
from cli.requests import read_request
from db.database import Database
from db.errors import DatabaseError, DatabaseUnreachable, LeaseLost
from db.schedule_runs import HeldRun, fail_run, give_back_run, held_run, renew_run
from db.schedules import models_used
from db.schema import open_database
from producer.enqueue import Doorway
from producer.errors import ProducerError
from producer.settings import ProducerSettings
from worker.logs import log_to_stderr
from worker.settings import WorkerSettings

#: What a person can do something about; anything else is a fault of the program, and is logged with its traceback.
_EXPECTED = (ProducerError, DatabaseError, click.ClickException, OSError)
_RETRY_S = 1.0

log = structlog.get_logger()


def perform(database: Database, app: Celery | None, run: HeldRun, lease_s: float) -> int:
    """Read what the run is to read and enqueue its job; return the job's id.

    The run ends with its job, or as failed with the error that is raised. It stays held after LeaseLost, where it is
    another's, after DatabaseUnreachable, and after KeyboardInterrupt.
    """
    try:
        with _renewed(database, run, lease_s), chdir(run.schedule.params["directory"]):
            return _enqueue(database, app, run)
    except (LeaseLost, DatabaseUnreachable):
        raise
    except Exception as error:
        with database.write() as connection:
            fail_run(connection, run, _reason(error))
        raise


@contextmanager
def failed_on_ctrl_c(database: Database, run: HeldRun) -> Iterator[None]:
    """End the run as failed where a person leaves it: a beat would read it all the same."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(LeaseLost), database.write() as connection:
            fail_run(connection, run, "stopped by hand")
        raise


def main() -> None:
    """Perform the run named by the arguments, unless another process has it. SIGTERM gives it back."""
    run_id, attempt = map(int, sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    log_to_stderr()
    lease_s = WorkerSettings().lease_s
    # Before the working directory changes: settings may hold relative paths.
    database, app = open_database(), make_app(BrokerSettings().url)
    with database.read() as connection:
        run = held_run(connection, run_id)
    if run is None or run.attempt != attempt:
        return
    try:
        job_id = perform(database, app, run, lease_s)
        log.info("run enqueued", action="run_enqueued", name=run.schedule.name, job=job_id)
    except (KeyboardInterrupt, DatabaseUnreachable) as error:
        reason = _reason(error) or "it was told to stop"
        log.warning("run given back", action="run_given_back", name=run.schedule.name, reason=reason)
        _give_back(database, run, lease_s)
    except LeaseLost as error:
        log.warning("run lost", action="run_lost", name=run.schedule.name, reason=str(error))
    except Exception as error:
        is_fault = not isinstance(error, _EXPECTED)
        name, reason = run.schedule.name, _reason(error)
        log.warning("run failed", action="run_failed", name=name, reason=reason, exc_info=is_fault)
        sys.exit(1)


def _enqueue(database: Database, app: Celery | None, run: HeldRun) -> int:
    schedule = run.schedule
    request = read_request(database, schedule.command, schedule.params["arguments"])
    with database.read() as connection:
        earlier = [] if run.rescore else models_used(connection, schedule.id)
    doorway = Doorway(database, app, ProducerSettings())
    job = request.prepare(doorway, earlier)
    return doorway.enqueue(replace(job, schedule_id=schedule.id, params={**job.params, "schedule": schedule.name}), run)


@contextmanager
def _renewed(database: Database, run: HeldRun, lease_s: float) -> Iterator[None]:
    """Keep the lease for as long as the block lasts."""
    over = threading.Event()

    def renew() -> None:
        # At once, for the lease that it was taken with may be another.
        while not over.is_set():
            try:
                with database.write() as connection:
                    renew_run(connection, run, lease_s)
            except LeaseLost:
                return
            except DatabaseUnreachable as error:
                log.warning("run's lease not renewed", action="run_renewal_failed", reason=str(error))
            over.wait(lease_s / 3)

    threading.Thread(target=renew, name="renew", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _give_back(database: Database, run: HeldRun, lease_s: float) -> None:
    """Give the run back, when the database is there again; after a lease it is free without that."""
    deadline = time.monotonic() + lease_s
    while time.monotonic() < deadline:
        try:
            with database.write() as connection:
                return give_back_run(connection, run)
        except LeaseLost:
            return None
        except DatabaseUnreachable:
            time.sleep(_RETRY_S)
    return None


def _reason(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    return str(error) if isinstance(error, (*_EXPECTED, KeyboardInterrupt)) else f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
