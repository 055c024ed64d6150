"""The few places where SQLite and PostgreSQL must be spoken to differently."""

import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Float,
    Integer,
    Numeric,
    Select,
    String,
    Text,
    UnaryExpression,
    bindparam,
    case,
    cast,
    collate,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.sql.selectable import TableValuedAlias

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
    return _is_listed(connection.dialect.name, column, literal(as_list(values), String()))


def is_given(
    dialect: str, column: ColumnElement[Any] | InstrumentedAttribute[Any], parameter: str
) -> ColumnElement[bool]:
    """The same, for a statement that is put together once: the values, `as_list`, are the parameter of that name."""
    return _is_listed(dialect, column, bindparam(parameter, type_=String()))


def as_list(values: Iterable[Any]) -> str:
    """Values as the one parameter that they travel as."""
    return json.dumps(list(values))


def _is_listed(
    dialect: str, column: ColumnElement[Any] | InstrumentedAttribute[Any], listed: ColumnElement[str]
) -> ColumnElement[bool]:
    if dialect == "sqlite":
        each = func.json_each(listed).table_valued("value")
        return column.in_(select(each.c.value))
    each = func.jsonb_array_elements_text(cast(listed, JSONB)).table_valued("value").render_derived()
    return column.in_(select(cast(each.c.value, column.type)))


def lists_any_of(connection: Connection, column: InstrumentedAttribute[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Whether a column of JSON lists holds one of the ids. Reads every list."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(column).table_valued("value")
        return select(literal(1)).select_from(each).where(each.c.value.in_(ids)).exists()
    return or_(*(cast(column, JSONB).contains([id_]) for id_ in ids))


def sought_by_other_means(dialect: str, column: ColumnElement[Any] | InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The column, to be compared without an index on it.

    SQLite has no statistics, and takes an index on a column with few distinct values for a good start; it then reads
    all rows with that value. PostgreSQL knows better by itself.
    """
    if dialect == "sqlite":
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


def holds(
    connection: Connection, numbers: InstrumentedAttribute[Any], one: InstrumentedAttribute[Any]
) -> ColumnElement[bool]:
    """Whether a column of JSON lists of numbers has a number."""
    if connection.dialect.name == "postgresql":
        return type_coerce(numbers, JSONB).contains(func.to_jsonb(one))
    each = func.json_each(numbers).table_valued("value")
    # Both columns are of the statement that this stands in, however deep.
    return select(each.c.value).where(each.c.value == one).correlate_except(each).exists()


def json_text(connection: Connection, column: InstrumentedAttribute[Any], name: str) -> ColumnElement[Any]:
    """What stands under a name in a column of JSON objects, as text; NULL where nothing does."""
    if connection.dialect.name == "postgresql":
        return cast(column, JSONB)[name].astext
    # By name rather than by path, in which a name with a quote could not be written.
    each = func.json_each(column).table_valued("key", "value", "type")
    is_word = each.c.type.in_(("true", "false"))
    text = case((is_word, each.c.type), else_=cast(each.c.value, String))
    return select(text).where(each.c.key == name).scalar_subquery()


def json_number(connection: Connection, column: InstrumentedAttribute[Any], name: str) -> ColumnElement[Any]:
    """The number under a name in a column of JSON objects of numbers; NULL where there is none."""
    if connection.dialect.name == "postgresql":
        return cast(cast(column, JSONB)[name].astext, Double())
    if name.isascii() and name.isprintable() and not set(name) & {'"', "\\"}:
        return func.json_extract(column, f'$."{name}"', type_=Float())
    # Other names cannot be written in a path, or stand escaped in the text, which a path does not see through.
    each = func.json_each(column).table_valued("key", "value")
    return select(type_coerce(each.c.value, Float())).where(each.c.key == name).scalar_subquery()


def json_source(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The JSON document in a column as its text; NULL for none, and for JSON's null."""
    stored = cast(column, Text) if connection.dialect.name == "postgresql" else type_coerce(column, Text)
    return func.nullif(stored, "null", type_=Text)


def iso_time(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A time as Python's isoformat() writes it, in UTC: no part of a second where there is none."""
    if connection.dialect.name == "postgresql":
        stored = func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US')
    else:
        stored = func.replace(type_coerce(column, Text), " ", "T")
    return type_coerce(func.replace(stored, ".000000", ""), Text) + "+00:00"


def json_numbers(
    connection: Connection, column: InstrumentedAttribute[Any]
) -> tuple[TableValuedAlias, ColumnElement[str], ColumnElement[float]]:
    """A column of JSON objects with numbers, unfolded: what to join, each name, and each number."""
    if connection.dialect.name == "postgresql":
        each = func.jsonb_each_text(column).table_valued("key", "value").render_derived()
    else:
        each = func.json_each(column).table_valued("key", "value")
    return each, each.c.key, cast(each.c.value, Float)


def whole(connection: Connection, number: ColumnElement[Any]) -> ColumnElement[int]:
    """A number that is not negative, without its fraction."""
    # SQLite may be built without floor(), and cuts where PostgreSQL would round.
    return cast(number if connection.dialect.name == "sqlite" else func.floor(number), BigInteger)


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


def contains(connection: Connection, text: InstrumentedAttribute[Any], words: str) -> ColumnElement[bool]:
    """Whether the text holds the words as they stand, but for large letters and small ones."""
    is_sqlite = connection.dialect.name == "sqlite"
    if words.isascii():
        return text.contains(words, autoescape=True) if is_sqlite else text.icontains(words, autoescape=True)
    # Neither database knows the cases of other letters in every locale: both are written out, in sets.
    if is_sqlite:
        return text.op("GLOB", is_comparison=True)(f"*{''.join(map(_glob, words))}*")
    return text.regexp_match("".join(map(_regular, words)))


def _glob(character: str) -> str:
    cases = _cases(character)
    return f"[{cases}]" if len(cases) > 1 or character in "*?[" else character


def _regular(character: str) -> str:
    cases = _cases(character)
    if len(cases) > 1:
        return f"[{cases}]"
    return character if character.isalnum() else f"\\{character}"


def _cases(character: str) -> str:
    """The character in each of its cases that is one character too."""
    return "".join(sorted({case for case in (character, character.lower(), character.upper()) if len(case) == 1}))


def day_of(connection: Connection, moment: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The day of a time in UTC, as in 2026-11-28."""
    if connection.dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d", moment)
    return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")


def week_of(connection: Connection, moment: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The week of a time in UTC as ISO 8601 numbers it, as in 2026-W48."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), 'IYYY-"W"IW')
    # A week belongs to the year that its Thursday is in. (SQLite knows %G and %V only since 3.46.)
    year = func.strftime("%Y", moment, "-3 days", "weekday 4")
    day = cast(func.strftime("%j", moment, "-3 days", "weekday 4"), Integer)
    return func.printf("%s-W%02d", year, (day - 1) // 7 + 1, type_=String())


def month_of(connection: Connection, moment: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The month of a time in UTC, as in 2026-11."""
    if connection.dialect.name == "sqlite":
        return func.strftime("%Y-%m", moment)
    return func.to_char(func.timezone("UTC", moment), "YYYY-MM")
