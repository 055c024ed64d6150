"""What a client and its jobs share: the database, and a stack for as long as somebody needs one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from celery import Celery

from broker.settings import BrokerSettings
from broker.stack import StackDatabase, running_app, running_stack
from db.database import place_of
from db.schema import open_database
from db.settings import DatabaseSettings
from producer.enqueue import Doorway
from producer.settings import ProducerSettings


class Session:
    """A database, and the Redis of a team or an embedded stack. URLs that are None are those of the settings."""

    def __init__(self, database_url: str | None, redis_url: str | None) -> None:
        self._broker = BrokerSettings() if redis_url is None else _redis_at(redis_url)
        told = DatabaseSettings() if database_url is None else _database_at(database_url)
        self.settings = ProducerSettings()
        self.database = open_database(told)
        self._stack_database = StackDatabase(told.url, place_of(told.url))
        self._held = ExitStack()
        self._app: Celery | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether the workers are those of an embedded stack, which ends when nobody needs it."""
        return self._broker.is_embedded

    def hold(self) -> None:
        """Keep a stack running until `close`."""
        if self._app is None:
            self._app = self._held.enter_context(self._running())

    def close(self) -> None:
        """Let the stack go, and close every connection."""
        self._app = None
        self._held.close()
        self.database.close()

    @contextmanager
    def stack(self) -> Iterator[Celery]:
        """A stack that runs during the block: the one that is held, or one for the block. Raises BrokerError."""
        if self._app is not None:
            yield self._app
            return
        with self._running() as app:
            yield app

    def doorway(self) -> Doorway:
        """Where jobs go in, with a doorbell if there is a Redis now; starts nothing. Raises RedisUnreachable."""
        return Doorway(self.database, self._app or running_app(self._broker), self.settings)

    @contextmanager
    def _running(self) -> Iterator[Celery]:
        with running_stack(self._broker, self._stack_database, lambda: None) as app:
            yield app


def _redis_at(url: str) -> BrokerSettings:
    """The settings but for the URL, of which no file tells then."""
    return BrokerSettings(redis_url=url, redis_url_file=None, redis_password_file=None)


def _database_at(url: str) -> DatabaseSettings:
    return DatabaseSettings(database_url=url, database_url_file=None, database_password_file=None)
