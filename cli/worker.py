"""`reviewmill worker`: the processes that do the work."""

import click
import structlog

from broker.app import QUEUES
from broker.errors import StackError
from broker.redis_server import check_redis
from broker.settings import BrokerSettings
from db.schema import open_database
from worker.devices import Machine
from worker.logs import log_to_stderr
from worker.settings import WorkerSettings
from worker.supervisor import supervise

log = structlog.get_logger()


def _check_queues(_context: click.Context, _option: click.Parameter, queues: str) -> list[str]:
    named = [queue.strip() for queue in queues.split(",")]
    if not set(named) <= set(QUEUES.values()):
        raise click.BadParameter(f"{queues!r}; the queues are {', '.join(QUEUES.values())}")
    return named


@click.command("worker")
@click.option(
    "--devices",
    metavar="DEVICES",
    help="auto, cpu, GPU numbers such as 0,1, or UUIDs; with queues of its own as in 0:score,1:train. [default: auto]",
)
@click.option(
    "--processes", type=click.IntRange(min=1), metavar="N", help="Processes that share the CPU's cores. [default: 1]"
)
@click.option("--queues", default="score,train", show_default=True, callback=_check_queues)
def command(devices: str | None, processes: int | None, queues: list[str]) -> int:
    """Work on jobs until stopped, one process a device. Needs a Redis: REVIEWMILL_REDIS_URL.

    `auto` is every NVIDIA GPU, or the CPU where there is none. With --processes N the CPU is cpu0 to cpuN-1, each with
    cores of its own.
    """
    settings = BrokerSettings()
    if settings.is_embedded:
        raise StackError(
            "REVIEWMILL_REDIS_URL is not set; workers of their own need a shared Redis. "
            "On one machine `reviewmill up` runs everything"
        )
    defaults = WorkerSettings()
    machine = Machine.here(processes or defaults.processes)
    placements = machine.place(defaults.devices if devices is None else devices, queues)
    check_redis(settings.url)
    database = open_database()
    log_to_stderr()
    if machine.has_library and machine.trouble:
        log.warning("GPUs are missing", action="gpus_missing", reason=machine.trouble)
    return supervise(database, placements)
