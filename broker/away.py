"""How a Redis that is away shows."""

from kombu.exceptions import InconsistencyError, KombuError
from redis.exceptions import RedisError

#: What kombu and the client below it raise where Redis is away, restarts, or was wiped between two commands.
AWAY = (KombuError, InconsistencyError, RedisError, OSError)
