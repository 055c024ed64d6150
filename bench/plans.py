"""How a database answers: the plans of the very statements that a question comes to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from db.database import Database


def plans_of(database: Database, ask: Callable[[Connection], object]) -> list[str]:
    """The plan of each statement that is run to answer, in order, as the database writes it."""
    with database.read() as connection, _heard(connection) as statements:
        ask(connection)
    # Another connection: one that streamed its answers would take a plan for one.
    with database.engine.connect() as connection:
        return [_plan(connection, *statement) for statement in statements]


@contextmanager
def _heard(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", hear)
    yield statements
    event.remove(connection, "before_cursor_execute", hear)


def _plan(connection: Connection, statement: str, parameters: Any) -> str:
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(row[0] for row in rows)
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    depths: dict[int, int] = {0: -1}
    lines = []
    for id_, parent, _, detail in rows:
        depths[id_] = depths[parent] + 1
        lines.append("  " * depths[id_] + detail)
    return "\n".join(lines)
