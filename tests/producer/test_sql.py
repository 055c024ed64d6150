import re
import time
from itertools import islice

import pytest
from sqlalchemy import create_engine, text

from producer.errors import SourceError
from producer.rows import BadRow, Columns, Row, check_columns, read_rows
from producer.sources import Record, open_source

SHOP = [
    "CREATE TABLE texts (id INTEGER PRIMARY KEY, body TEXT, stars INTEGER)",
    "INSERT INTO texts VALUES (1, 'good', 5), (2, '100% bad & ''slow''', 1), (3, NULL, 3), (4, '', 2)",
    "CREATE VIEW liked AS SELECT id, body FROM texts WHERE stars > 3",
    'CREATE TABLE "odd one" ("the %s :x" TEXT)',
]


@pytest.fixture
def url(request: pytest.FixtureRequest, kind: str) -> str:
    """URL of a database of a shop, as a user writes it."""
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "empty_postgresql_url"}[kind])
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in SHOP:
            connection.exec_driver_sql(statement.replace("%", "%%") if kind == "postgresql" else statement)
    engine.dispose()
    return url.replace("+psycopg", "")


pytestmark = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


def asking(url: str, asked: str) -> str:
    """A source of a database whose URL may have parameters of its own."""
    return f"sql:{url}{'&' if '?' in url else '?'}{asked}"


def refused(spec: str) -> str:
    with pytest.raises(SourceError) as caught:
        list(open_source(spec).records())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_table_is_read(url: str):
    source = open_source(asking(url, "table=texts"))
    assert source.columns() == ["id", "body", "stars"]
    assert source.rows() == 4
    assert list(source.records()) == list(source.records())
    assert list(source.records())[1] == Record(2, {"id": 2, "body": "100% bad & 'slow'", "stars": 1})


def test_a_view_and_a_name_in_need_of_quotes_are_read(url: str):
    assert list(open_source(asking(url, "table=liked")).records()) == [Record(1, {"id": 1, "body": "good"})]
    assert open_source(asking(url, "table=odd one")).columns() == ["the %s :x"]
    assert list(open_source(asking(url, "table=odd+one")).records()) == []


def test_only_the_columns_that_are_asked_for_are_fetched(url: str):
    source = open_source(asking(url, "table=texts"))
    assert next(source.records(["body", "id"])) == Record(1, {"id": 1, "body": "good"})


@pytest.mark.parametrize(
    "query",
    [
        "query=SELECT id, body FROM texts WHERE body LIKE '%bad%' AND id & 2 = 2 AND ':x' <> body",
        "query=SELECT id, body\nFROM texts\tWHERE id=1+1;",
        "query=select%20id%2C%20body%20from%20texts%20where%20id%3D2",
        "query=select+id,+body+from+texts+where+id=2",
        "query=WITH bad AS (SELECT * FROM texts WHERE stars = 1) SELECT id, body FROM bad",
    ],
)
def test_a_query_is_read_as_it_stands_or_encoded(url: str, query: str):
    source = open_source(asking(url, query))
    assert source.columns() == ["id", "body"]
    assert list(source.records()) == [Record(1, {"id": 2, "body": "100% bad & 'slow'"})]
    assert source.rows() == 1


def test_a_query_of_one_word_is_a_table(url: str):
    assert open_source(asking(url, "query=texts")).rows() == 4


def test_bad_rows_are_told_by_their_number(url: str):
    source = open_source(asking(url, "query=SELECT id, body FROM texts ORDER BY id"))
    check_columns(source, Columns("body", id="id"))
    rows = list(read_rows(source, Columns("body", id="id"), max_chars=100))
    assert isinstance(rows[0], Row)
    assert (rows[0].external_id, rows[0].text) == ("1", "good")
    assert [(row.row, row.external_id, row.reason) for row in rows if isinstance(row, BadRow)] == [
        (3, "3", "no text"),
        (4, "4", "no text"),
    ]


def test_the_share_read_is_that_of_counted_rows(url: str):
    source = open_source(asking(url, "table=texts"))
    assert {source.share_read() for _ in source.records()} == {None}
    source.rows()
    assert [source.share_read() for _ in source.records()] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("table=text", "no table 'text' (did you mean 'texts'?); the tables are 'liked', 'odd one', 'texts'"),
        ("query=SELECT nope FROM texts", "nope"),
        ("query=SELECT body, stars AS body FROM texts", "names 'body' more than once"),
        ("", "names either a table or a query of a database: sql:URL?table=TABLE or sql:URL?query=QUERY"),
        ("table=texts&query=SELECT 1", "either a table or a query"),
        ("query=", "either a table or a query"),
    ],
)
def test_what_cannot_be_read_is_told(url: str, asked: str, said: str):
    assert said in refused(asking(url, asked))


def test_nothing_is_ever_written(url: str, kind: str):
    statement = {"sqlite": "DELETE FROM texts RETURNING id, body", "postgresql": "SELECT lo_create(0) AS text"}[kind]
    assert "read" in refused(asking(url, f"query={statement}"))
    assert open_source(asking(url, "table=texts")).rows() == 4


def test_a_query_that_breaks_off_tells_after_how_many_rows(url: str, kind: str):
    broken = {"sqlite": "abs(-9223372036854775808)", "postgresql": "1 / (id - 4)"}[kind]
    query = f"query=SELECT id, CASE WHEN id = 4 THEN {broken} ELSE 1 END AS x FROM texts ORDER BY id"
    assert re.search(r", after \d rows?$", refused(asking(url, query)))


def test_rows_come_through_a_cursor_of_the_server(url: str, kind: str):
    """A query without an end in sight gives its first rows at once."""
    endless = {
        "sqlite": "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n",
        "postgresql": "SELECT generate_series(1, 1000000000) AS n",
    }[kind]
    started = time.monotonic()
    records = open_source(asking(url, f"query={endless}")).records()
    assert [record.values["n"] for record in islice(records, 2_500)] == list(range(1, 2_501))
    assert time.monotonic() - started < 20
    if kind == "postgresql":
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            told = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            assert connection.execute(text(told)).scalar_one().startswith("FETCH FORWARD 1000 FROM ")
        engine.dispose()
    records.close()
