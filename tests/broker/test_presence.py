"""Who is alive, against a real Redis."""

from contextlib import ExitStack

import pytest
from celery import Celery

from broker.app import make_app
from broker.errors import RedisUnreachable
from broker.presence import live_devices, worker_name
from broker.redis_server import RedisServer


def test_a_worker_is_alive_while_it_is_connected(app: Celery, server: RedisServer) -> None:
    workers = {"cpu@box:1": ["score", "train"], "gpu0@far": ["score"], "gpu1@far": ["train"]}
    assert live_devices(app, "score") == []
    with ExitStack() as connected:
        for device, queues in workers.items():
            for _ in range(2):
                named = make_app(f"redis+socket://{server.socket}", worker_name(device, queues))
                connection = connected.enter_context(named.connection_for_read())
                connection.default_channel.client.ping()
        assert live_devices(app, "score") == ["cpu@box:1", "gpu0@far"]
        assert live_devices(app, "train") == ["cpu@box:1", "gpu1@far"]
    assert live_devices(app, "score") == []


def test_a_redis_that_is_away_tells_nothing(app: Celery, server: RedisServer) -> None:
    server.stop()
    with pytest.raises(RedisUnreachable, match="does not tell which workers are alive"):
        live_devices(app, "score")
