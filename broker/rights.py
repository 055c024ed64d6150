"""Which commands a Redis user may give, asked without giving any.

Redis checks a command's rights when it is queued in a transaction. The transaction is thrown away then, so that nothing
is carried out; ACL DRYRUN would say the same, where Redis is new enough and the user may ask it.
"""

from collections.abc import Sequence

import redis
from celery import Celery

from broker.app import QUEUES
from broker.away import AWAY
from broker.errors import RedisUnreachable

_PREFIX = "reviewmill:"
_QUEUE = _PREFIX + QUEUES["score"]

#: What ringing for a chunk takes, and looking whether a queue is empty.
RINGING = (("LPUSH", _QUEUE, "x"), ("LLEN", _QUEUE))
#: What hearing it takes beside that.
WORKING = (("BRPOP", _QUEUE, "1"),)


def refused_commands(app: Celery, commands: Sequence[tuple[str, ...]]) -> list[str] | None:
    """The names of those that the app's user may not give; None where it may not ask. Raises RedisUnreachable."""
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            pool = connection.default_channel.client.connection_pool
            talk = pool.get_connection()
            try:
                return _refused(talk, commands)
            finally:
                # A transaction that was not thrown away must not go on in somebody else's hands.
                talk.disconnect()
                pool.release(talk)
    except AWAY as error:
        raise RedisUnreachable(f"Redis does not tell what its user may do: {error}") from error


def _refused(talk: redis.Connection, commands: Sequence[tuple[str, ...]]) -> list[str] | None:
    try:
        _ask(talk, ("MULTI",))
    except redis.exceptions.NoPermissionError:
        return None
    refused = []
    for command in commands:
        try:
            _ask(talk, command)
        except redis.exceptions.NoPermissionError:
            refused.append(command[0])
    _ask(talk, ("DISCARD",))
    return refused


def _ask(talk: redis.Connection, command: tuple[str, ...]) -> None:
    talk.send_command(*command)
    talk.read_response()
