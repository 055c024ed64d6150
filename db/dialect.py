"""The few places where SQLite and PostgreSQL must be spoken to differently."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Numeric,
    Select,
    String,
    UnaryExpression,
    case,
    cast,
    collate,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.operators import custom_op

from db.tables import Base, Chunk

#: A number as JSON writes it, for Python and PostgreSQL; of no power that PostgreSQL could not hold.
_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?"


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


def lists_any_of(connection: Connection, column: InstrumentedAttribute[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Whether a column of JSON lists holds one of the ids. Reads every list."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(column).table_valued("value")
        return select(literal(1)).select_from(each).where(each.c.value.in_(ids)).exists()
    return or_(*(cast(column, JSONB).contains([id_]) for id_ in ids))


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


def json_text(connection: Connection, column: InstrumentedAttribute[Any], name: str) -> ColumnElement[Any]:
    """What stands under a name in a column of JSON objects, as text; NULL where nothing does."""
    if connection.dialect.name == "postgresql":
        return cast(column, JSONB)[name].astext
    # By name rather than by path, in which a name with a quote could not be written.
    each = func.json_each(column).table_valued("key", "value", "type")
    is_word = each.c.type.in_(("true", "false"))
    text = case((is_word, each.c.type), else_=cast(each.c.value, String))
    return select(text).where(each.c.key == name).scalar_subquery()


def is_number(text: str) -> bool:
    """Whether a text is written as a number is in JSON; `to_number` goes by the same."""
    return re.fullmatch(_NUMBER, text, re.ASCII) is not None


def to_number(connection: Connection, text: ColumnElement[Any]) -> ColumnElement[Any]:
    """The number that a text is; NULL for one that is none."""
    if connection.dialect.name == "postgresql":
        return case((text.regexp_match(f"^{_NUMBER}$"), cast(text, Numeric)))
    is_json = func.json_valid(text) == 1
    # Only CASE promises that what comes after is not looked at before.
    return case((not_(is_json), None), (func.json_type(text).in_(("integer", "real")), cast(text, Float)))


def number(connection: Connection, text: str) -> ColumnElement[Any]:
    """A number that is written like one, to be compared with `to_number`."""
    if connection.dialect.name == "postgresql":
        return literal(Decimal(text), Numeric())
    return literal(float(text), Float())


def bytewise(connection: Connection, text: ColumnElement[Any]) -> ColumnElement[Any]:
    """The text, to be put in order by its code points rather than as a language does."""
    return collate(text, "C") if connection.dialect.name == "postgresql" else text
