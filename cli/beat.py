"""`reviewmill beat`: the process beside the workers that keeps time."""

import click

from broker.app import TASKS, make_app
from broker.errors import StackError
from broker.redis_server import check_redis
from broker.settings import BrokerSettings
from cli.output import notes
from cli.timekeeper import keep_time, stop_on_signals
from db.schema import open_database
from worker.endpoint import serve_metrics
from worker.logs import log_to_stderr
from worker.notifier import Notifier
from worker.owners import this_owner
from worker.settings import WorkerSettings
from worker.sweep import Sweeper


@click.command("beat")
def command() -> None:
    """Run the schedules, ring again for chunks whose message was lost, and tell of jobs that ended, until stopped.

    Any number may run: each schedule fires once. Needs a Redis: REVIEWMILL_REDIS_URL.
    """
    settings = BrokerSettings()
    if settings.is_embedded:
        raise StackError("REVIEWMILL_REDIS_URL is not set, and the embedded stack needs no beat of its own")
    check_redis(settings.url)
    worker, database = WorkerSettings(), open_database()
    sweeper = Sweeper(database, make_app(settings.url), list(TASKS), worker.sweep_s)
    stopping = stop_on_signals()
    log_to_stderr()
    notes.print("The beat goes on. Ctrl-C stops it.")
    serve_metrics(worker, database)
    Notifier(database, this_owner(), worker.signing_secret).start(stopping)
    sweeper.start(stopping)
    # Who reads has the settings too; a URL put into its environment could hold a password that a file kept.
    keep_time(database, None, stopping)
