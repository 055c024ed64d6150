"""The questions of docs/results.md, asked of both databases: they print what the page says."""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from db.database import Database
from tests.db.planted import plant

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
QUESTIONS = re.findall(r"^```sql\n(.*?)\n```\n\n```text\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def planted(database: Database) -> Database:
    plant(database)
    return database


def test_every_question_prints_what_the_page_says(planted: Database) -> None:
    for query, printed in QUESTIONS:
        with planted.read() as connection:
            found = connection.execute(text(query))
            assert table(list(found.keys()), found.all()) == printed, query


def test_there_are_ten_questions_and_each_has_an_answer() -> None:
    assert len(QUESTIONS) == PAGE.count("```sql") == 10
    assert all(len(printed.splitlines()) > 1 for _, printed in QUESTIONS)


def test_every_column_of_every_view_is_documented(planted: Database) -> None:
    sections = re.findall(r"^### (\w+)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    documented = {view: re.findall(r"`(\w+)`", " ".join(_first_cells(section))) for view, section in sections}
    with planted.read() as connection:
        columns = {view: _columns(connection, view) for view in inspect(connection).get_view_names()}
    assert {view: sorted(names) for view, names in documented.items()} == columns


def _first_cells(section: str) -> list[str]:
    return [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]


def _columns(connection: Any, view: str) -> list[str]:
    return sorted(connection.execute(text(f"SELECT * FROM {view} WHERE 1 = 0")).keys())


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The rows under their columns' names, two spaces between them, nothing for NULL."""
    cells = [[*columns], *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(one.ljust(width) for one, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "".join(f"{line}\n" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # Numbers as people write them: 0.50 of PostgreSQL and 0.5 of SQLite are the same.
    return f"{float(value):.12g}" if isinstance(value, float | Decimal) else str(value)
