"""What a Redis says of itself: for a look at whether it is set up to be a doorbell. Changes nothing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery

from broker.away import AWAY
from broker.errors import RedisUnreachable

_SECTIONS = ("server", "memory", "persistence")
_SETTINGS = ("timeout", "save")


@dataclass(frozen=True, slots=True)
class RedisState:
    """Its `info` of server, memory and persistence; of its `config` what we may see; and its clock beside ours.

    `clock_ahead_s` is by how many seconds its clock is ahead of this machine's, to within `clock_error_s`, which is
    infinite where our user may not ask. Nor need it see the rest: `info` and `config` may be empty.
    """

    info: Mapping[str, Any]
    config: Mapping[str, str]
    clock_ahead_s: float
    clock_error_s: float

    @property
    def version(self) -> str:
        """As it tells it, such as 7.2.4; of a Valkey that version of Redis which it is like."""
        return str(self.info.get("redis_version", "of an unknown version"))

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The version in numbers; empty where it is none."""
        parts = self.version.split(".")
        return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def examine_redis(app: Celery) -> RedisState:
    """Ask the Redis of the app. Raises RedisUnreachable, also where it does not let us ask."""
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            client = connection.default_channel.client
            info = {name: value for section in _SECTIONS for name, value in _info(client, section).items()}
            return RedisState(info, _config(client), *_clock(client))
    except AWAY as error:
        raise RedisUnreachable(f"Redis does not answer: {error}") from error


def _info(client: redis.Redis, section: str) -> dict[str, Any]:
    try:
        return dict(client.info(section))
    except redis.exceptions.NoPermissionError:
        return {}


def _config(client: redis.Redis) -> dict[str, str]:
    try:
        return {str(name): str(value) for one in _SETTINGS for name, value in client.config_get(one).items()}
    except (redis.exceptions.NoPermissionError, redis.exceptions.ResponseError):
        # A user of few rights, or a hosted server that has no such command.
        return {}


def _clock(client: redis.Redis) -> tuple[float, float]:
    asked = time.time()
    try:
        seconds, microseconds = client.time()
    except redis.exceptions.NoPermissionError:
        return 0.0, float("inf")
    answered = time.time()
    return seconds + microseconds / 1e6 - (asked + answered) / 2, (answered - asked) / 2
