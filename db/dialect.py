"""The few places where SQLite and PostgreSQL must be spoken to differently."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    UnaryExpression,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.operators import custom_op

from db.tables import Base, Chunk


def insert(connection: Connection, table: type[Base]) -> Any:
    """An INSERT that knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def is_one_of(
    connection: Connection, column: ColumnElement[Any] | InstrumentedAttribute[Any], values: Sequence[Any]
) -> ColumnElement[bool]:
    """Whether the column holds one of the values.

    They travel as one JSON parameter: both databases limit the number of parameters, and a list of
    ten thousand bound one by one is slow to compile.
    """
    if connection.dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(each.c.value))
    array = cast(literal(json.dumps(list(values)), String()), JSONB)
    each = func.jsonb_array_elements_text(array).table_valued("value").render_derived()
    return column.in_(select(cast(each.c.value, column.type)))


def sought_by_other_means(connection: Connection, column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The column, to be compared without an index on it.

    SQLite has no statistics, and takes an index on a column with few distinct values for a good start; it then reads
    all rows with that value. PostgreSQL knows better by itself.
    """
    if connection.dialect.name == "sqlite":
        return UnaryExpression(column.expression, operator=custom_op("+"), type_=column.type)
    return column.expression


def review_ids_of_job(connection: Connection, job_id: int) -> Select[Any]:
    """The ids of every review a job asked for, one per row read, for `column.in_(...)`."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(Chunk.review_ids).table_valued("value")
        return select(each.c.value).select_from(Chunk).join(each, literal(True)).where(Chunk.job_id == job_id)
    each = func.jsonb_array_elements_text(Chunk.review_ids).table_valued("value").render_derived()
    return (
        select(cast(each.c.value, BigInteger))
        .select_from(Chunk)
        .join(each, literal(True))
        .where(Chunk.job_id == job_id)
    )
