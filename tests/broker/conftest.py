"""A real Redis server."""

import os

import pytest
import redis
from celery import Celery

from broker.app import make_app
from broker.redis_server import RedisServer


@pytest.fixture
def app(server: RedisServer) -> Celery:
    """The Celery app on that server."""
    return make_app(f"redis+socket://{server.socket}")


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    """A plain client of that server, to look behind Celery's back."""
    return redis.Redis(unix_socket_path=os.fspath(server.socket))
