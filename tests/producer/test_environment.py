"""Variables of the environment stand for what is not to be written where others read it."""

import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from producer.environment import VariableMissing, filled_in
from producer.errors import SourceError
from producer.notify import check_notify
from producer.settings import ProducerSettings
from producer.sources import open_source
from producer.sources.sql_url import parse_sql_url


def test_only_names_in_braces_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "a${OTHER}b")
    monkeypatch.setenv("EMPTY", "")
    # What is filled in is not looked at again.
    assert filled_in("${SHOP}/${EMPTY}/$SHOP/$$/{SHOP}/${a b}") == "a${OTHER}b//$SHOP/$$/{SHOP}/${a b}"
    with pytest.raises(VariableMissing, match=r"the environment has no variable NOWHERE, which \$\{NOWHERE\} is to be"):
        filled_in("${NOWHERE}")


def test_a_table_of_a_database_whose_url_the_environment_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE texts (body)")
        connection.execute("INSERT INTO texts VALUES ('good')")
    monkeypatch.setenv("SHOP", f"sqlite:///{tmp_path / 'shop.db'}")
    monkeypatch.setenv("TABLE", "texts")
    source = open_source("sql:${SHOP}?table=${TABLE}")
    assert source.name == f"sql:sqlite:///{tmp_path / 'shop.db'}?table=texts"
    assert [record.values for record in source.records()] == [{"body": "good"}]
    with pytest.raises(VariableMissing):
        open_source("sql:${NOWHERE}?table=texts")


def test_a_url_with_parameters_of_its_own_may_be_filled_in() -> None:
    parsed = parse_sql_url("postgresql://me:x@/shop?host=/run/postgresql?table=texts")
    assert (parsed.table, parsed.database.query) == ("texts", {"host": "/run/postgresql"})
    asked = parse_sql_url("sqlite:///a.db?query=SELECT a FROM b WHERE c = 'x?table=y&z'")
    assert asked.query == "SELECT a FROM b WHERE c = 'x?table=y&z'"


def test_urls_of_files_and_notifications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "s3cret")
    with pytest.raises(SourceError) as caught:
        open_source("https://me:${PASSWORD}@127.0.0.1:9/a.csv?token=${PASSWORD}")
    assert "s3cret" not in str(caught.value)
    settings = ProducerSettings(notify_secret=SecretStr("signs"))
    assert check_notify("https://me:${PASSWORD}@host/done", settings) == "https://me:s3cret@host/done"
    with pytest.raises(VariableMissing):
        check_notify("https://me:${NOWHERE}@host/done", settings)


def test_files_are_called_what_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "${HOME}.csv").write_text("text\ngood\n")
    assert open_source(str(tmp_path / "${HOME}.csv")).name == "${HOME}.csv"
