"""`reviewmill worker`: the processes that do the work."""

import click

from broker.app import QUEUES
from broker.errors import StackError
from broker.redis_server import check_redis
from broker.settings import BrokerSettings
from db.schema import open_database
from worker.devices import find_devices
from worker.logs import log_to_stderr
from worker.settings import WorkerSettings
from worker.supervisor import supervise


def _check_queues(_context: click.Context, _option: click.Parameter, queues: str) -> list[str]:
    named = [queue.strip() for queue in queues.split(",")]
    if not set(named) <= set(QUEUES.values()):
        raise click.BadParameter(f"{queues!r}; the queues are {', '.join(QUEUES.values())}")
    return named


@click.command("worker")
@click.option("--devices", help="auto, cpu, or GPU numbers such as 0,1. [default: auto]")
@click.option("--queues", default="score,train", show_default=True, callback=_check_queues)
def command(devices: str | None, queues: list[str]) -> int:
    """Work on jobs until stopped, one process a device. Needs a Redis: REVIEWMILL_REDIS_URL."""
    settings = BrokerSettings()
    if settings.is_embedded:
        raise StackError(
            "REVIEWMILL_REDIS_URL is not set; workers of their own need a shared Redis. "
            "On one machine `reviewmill up` runs everything"
        )
    check_redis(settings.url)
    database = open_database()
    found = find_devices(devices or WorkerSettings().devices)
    log_to_stderr()
    return supervise(database, found, queues)
