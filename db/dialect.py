"""The few places where SQLite and PostgreSQL must be spoken to differently."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, String, cast, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB

from db.tables import Base, Chunk


def insert(connection: Connection, table: type[Base]) -> Any:
    """An INSERT that knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def members(connection: Connection, values: Sequence[int] | Sequence[str]) -> Select[Any]:
    """The values as a table of one column, for `column.in_(...)`.

    They travel as one JSON parameter: both databases limit the number of parameters, and a list of
    ten thousand bound one by one is slow to compile.
    """
    kind = BigInteger() if values and isinstance(values[0], int) else String()
    if connection.dialect.name == "sqlite":
        return select(func.json_each(json.dumps(list(values))).table_valued("value").c.value)
    array = cast(literal(json.dumps(list(values)), String()), JSONB)
    return select(cast(func.jsonb_array_elements_text(array).table_valued("value").c.value, kind))


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
