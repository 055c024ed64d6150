"""Which workers are alive: each gives its connections to Redis a name, and Redis tells who is connected.

Nothing has to be renewed and nothing can be left behind: the name is gone with the connection.
"""

from celery import Celery

from broker.away import AWAY
from broker.errors import RedisUnreachable

_PREFIX = "reviewmill-worker"


def worker_name(device: str, queues: list[str]) -> str:
    """The name of a worker's connections; `device` is its name among all machines, such as `cpu@host`."""
    return f"{_PREFIX}:{','.join(queues)}:{device}"


def live_devices(app: Celery, queue: str) -> list[str]:
    """The devices, by their names among all machines, whose workers serve the queue now, in order.

    Raises RedisUnreachable, also where Redis does not let us ask.
    """
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            clients = connection.default_channel.client.client_list()
    except AWAY as error:
        raise RedisUnreachable(f"Redis does not tell which workers are alive: {error}") from error
    named = [client["name"].split(":", 2) for client in clients if client["name"].startswith(f"{_PREFIX}:")]
    return sorted({device for _, queues, device in named if queue in queues.split(",")})
