"""The installation that is examined: its settings, and the database and the Redis that they name."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import Celery
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from sqlalchemy import Connection

from broker.errors import BrokerError
from broker.settings import BrokerSettings
from db.database import Database
from db.errors import DatabaseError
from db.settings import DatabaseSettings
from producer.settings import ProducerSettings
from worker.settings import WorkerSettings

SETTINGS: tuple[type[BaseSettings], ...] = (DatabaseSettings, BrokerSettings, ProducerSettings, WorkerSettings)


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is looked at. `quick` leaves out what reads whole files, `deep` also loads the model libraries.

    `models` are the references of which the files are checked; all of them where there is none.
    """

    quick: bool = False
    deep: bool = False
    models: tuple[str, ...] = ()


@dataclass(slots=True)
class Patient:
    """What the checks share. `database` and `app` are None until those of the settings have answered."""

    scope: Scope
    broker: BrokerSettings
    database_settings: DatabaseSettings
    producer: ProducerSettings
    worker: WorkerSettings
    database: Database | None = None
    app: Celery | None = None
    #: Whether the tables are those of this version, so that they can be asked.
    has_tables: bool = False
    #: Tells a person what is looked at now.
    say: Callable[[str], None] = lambda _words: None

    @contextmanager
    def asking(self) -> Iterator[Connection | None]:
        """A connection to a database with this version's tables; None where there is none."""
        if self.database is None or not self.has_tables:
            yield None
            return
        with self.database.read() as connection:
            yield connection


def admit(scope: Scope, say: Callable[[str], None]) -> Patient:
    """The patient by the settings in the environment. Raises pydantic's ValidationError where one is not allowed."""
    return Patient(scope, BrokerSettings(), DatabaseSettings(), ProducerSettings(), WorkerSettings(), say=say)


def wrong_settings() -> list[tuple[str, Mapping[str, Any]]]:
    """Each setting whose value is not allowed, by its variable's name, and pydantic's words about it."""
    found: dict[str, Mapping[str, Any]] = {}
    for kind in SETTINGS:
        try:
            kind()
        except ValidationError as error:
            for one in error.errors():
                found.setdefault(variable(str(one["loc"][0])), one)
    return list(found.items())


def twofold_settings() -> list[str]:
    """What is wrong with settings that are told twice, in the environment and in a file say, in words.

    To be asked where each setting by itself is allowed.
    """
    found = []
    for ask in (_ask_database, _ask_redis, _ask_producer, _ask_worker):
        try:
            ask()
        except (DatabaseError, BrokerError) as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def _ask_database() -> str:
    return DatabaseSettings().url


def _ask_redis() -> str:
    return BrokerSettings().url


def _ask_producer() -> str:
    return ProducerSettings().signing_secret


def _ask_worker() -> str:
    return WorkerSettings().signing_secret


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"REVIEWMILL_{name.upper()}"


def in_environment(name: str) -> str | None:
    """What the environment says of a variable, however its name is written; None where it says nothing."""
    return next((value for key, value in os.environ.items() if key.upper() == name), None)
