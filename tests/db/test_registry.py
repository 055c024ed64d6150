"""The registry: versions, and the names that find them."""

from pathlib import Path

import pytest
from sqlalchemy import update

from db.database import Database
from db.errors import CheckpointError, UnknownModel
from db.registry import RegisteredModel, find_model, get_model, list_models, register_model
from db.tables import Model
from tests.samples import facts


def register(database: Database, name: str, digest: str) -> RegisteredModel:
    with database.write() as connection:
        return register_model(
            connection, name, Path("/models") / name, facts(digest), kind="directory", metrics={"a": 1}
        )


def find(database: Database, reference: str) -> RegisteredModel:
    with database.read() as connection:
        return find_model(connection, reference)


def test_new_weights_are_a_new_version_and_the_same_ones_are_not(database: Database) -> None:
    first = register(database, "m", "1")
    second = register(database, "m", "2")
    assert (first.version, second.version) == (1, 2)
    assert register(database, "m", "1") == first
    assert register(database, "other", "1").version == 1
    with database.read() as connection:
        assert [one.reference for one in list_models(connection)] == ["m@1", "m@2", "other@1"]
        assert get_model(connection, second.id) == second


def test_a_name_means_its_newest_version(database: Database) -> None:
    register(database, "m", "1")
    register(database, "m", "2")
    with database.write() as connection:
        connection.execute(update(Model).where(Model.version == 1).values(aliases=["production"]))
    assert [find(database, name).version for name in ("m", "m@1", "m@2", "m@production")] == [2, 1, 2, 1]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("x", "the registry has: m"),
        ("m@7", "its versions are 1"),
        ("m@staging", "'staging'"),
        ("", "no model is named ''"),
    ],
)
def test_an_unknown_name_says_what_there_is(database: Database, reference: str, said: str) -> None:
    register(database, "m", "1")
    with pytest.raises(UnknownModel, match=said):
        find(database, reference)


def test_an_encoder_without_a_head_is_refused(database: Database) -> None:
    with pytest.raises(CheckpointError, match="without a classification head"), database.write() as connection:
        register_model(connection, "m", Path("/models/m"), facts(labels=None), kind="directory")
