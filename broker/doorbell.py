"""Ringing: one message a chunk, its id and nothing else."""

from collections.abc import Iterable
from typing import Protocol

import structlog
from celery import Celery

from broker.app import PRIORITIES, QUEUES, TASKS
from broker.away import AWAY
from broker.errors import RedisUnreachable

log = structlog.get_logger()


class Ring(Protocol):
    """A chunk to be worked on: its id, the kind of its job and the job's priority."""

    @property
    def chunk_id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def priority(self) -> str: ...


def ring(app: Celery, rings: Iterable[Ring]) -> int:
    """Tell the workers of these chunks and return how many were told.

    Redis being away is not an error: the chunks are safe in SQL, and the sweep rings them later.
    """
    rung = 0
    try:
        with app.connection_for_write() as connection:
            # One try only: a person waits for this, and the sweep does not mind.
            connection.ensure_connection(max_retries=1, interval_start=0)
            producer = app.amqp.Producer(connection)
            for one in rings:
                app.send_task(
                    TASKS[one.kind],
                    args=[one.chunk_id],
                    queue=QUEUES[one.kind],
                    priority=PRIORITIES[one.priority],
                    producer=producer,
                    retry=False,
                )
                rung += 1
    except AWAY as error:
        log.warning("redis is away; the sweep will ring", action="ring_failed", reason=str(error), rung=rung)
    return rung


def is_dry(app: Celery, kind: str) -> bool:
    """Whether no message of that kind of job waits, of whatever priority. Raises RedisUnreachable."""
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            channel = connection.default_channel
            # kombu keeps a list for each priority.
            keys = [channel._q_for_pri(QUEUES[kind], priority) for priority in PRIORITIES.values()]
            return not any(channel.client.llen(key) for key in keys)
    except AWAY as error:
        raise RedisUnreachable(f"Redis does not answer: {error}") from error
