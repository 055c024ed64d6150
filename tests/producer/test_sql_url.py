import sqlite3
from pathlib import Path

import pytest

from producer.errors import SourceError
from producer.rows import Columns, read_rows
from producer.sources import Record, open_source
from producer.sources.sql_url import parse_sql_url


def test_the_own_parameters_of_a_url_stay():
    parsed = parse_sql_url("postgresql://me:s3cret@db/shop?sslmode=require&table=texts&application_name=a%20b")
    assert parsed.database.query == {"sslmode": "require", "application_name": "a b"}
    assert (parsed.table, parsed.query) == ("texts", None)
    assert parsed.database.drivername == "postgresql+psycopg"


def test_the_name_tells_no_user_and_no_password():
    spec = "postgresql://me:s3cret@db.example:5433/shop?password=hidden&query=SELECT  id,\n body FROM texts"
    assert parse_sql_url(spec).name == "sql:postgresql://db.example:5433/shop?query=SELECT id, body FROM texts"
    assert parse_sql_url("sqlite:///shop.db?table=main.texts").name == "sql:sqlite:///shop.db?table=main.texts"


def test_a_long_query_is_cut_and_still_told_from_others():
    names = {parse_sql_url(f"sqlite:///a.db?query=SELECT {'a' * 500} AS x{n} FROM t").name for n in range(3)}
    assert len(names) == 3
    assert all(len(name) < 300 for name in names)


@pytest.mark.parametrize(
    "rest",
    [
        "postgresql://me:s3cret@127.0.0.1:9/shop?table=texts",
        "postgresql://127.0.0.1:9/shop?user=me&password=s3cret&table=texts",
        "postgresql://me:s3cret@127.0.0.1:port/shop?table=texts",
        "postgresql://me:s3cret@127.0.0.1:9/shop",
        "mysql://me:s3cret@127.0.0.1/shop?table=texts",
        "oracle9://me:s3cret@127.0.0.1/shop?table=texts",
        "me:s3cret@127.0.0.1?table=texts",
        "sqlite:///s3cret/../nowhere.db?query=",
    ],
)
def test_no_error_tells_the_password(rest: str):
    with pytest.raises(SourceError) as caught:
        open_source(f"sql:{rest}")
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(SourceError, match="no such file"):
        open_source(f"sql:sqlite:///{tmp_path / 'no.db'}?table=texts")
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_not_utf_8_is_one_bad_value(tmp_path: Path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (text TEXT)")
        connection.execute("INSERT INTO t VALUES ('good'), (CAST(x'636166e9' AS TEXT)), ('fine')")
    connection.close()
    assert list(open_source(f"sql:sqlite:///{tmp_path / 'a.db'}?table=t").records()) == [
        Record(1, {"text": "good"}),
        Record(2, {"text": "caf\udce9"}),
        Record(3, {"text": "fine"}),
    ]


def test_numbers_and_keys_of_a_server_are_those_of_any_source(empty_postgresql_url: str):
    key = "9f1c0b52-7c5c-4f0e-8f8e-0d3c1a2b3c4d"
    numbers = "7::numeric AS whole, 0.5::numeric AS part, 12345678901234567890::numeric AS long, 'NaN'::numeric AS no"
    source = open_source(f"sql:{empty_postgresql_url}&query=SELECT '{key}'::uuid AS id, 'good' AS body, {numbers}")
    values = next(source.records()).values
    assert (values["whole"], values["part"], values["long"]) == (7, 0.5, 12345678901234567890)
    assert [type(values[name]) for name in ("whole", "part", "long", "no")] == [int, float, int, float]
    (row,) = read_rows(source, Columns("body", id="id"), max_chars=100)
    assert row.external_id == key
