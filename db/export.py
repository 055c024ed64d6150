"""Results in bulk, for files: the select that find_results runs, read without making an object of each row."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.sql.util import find_tables

from db.clock import UtcDateTime
from db.dialect import iso_time, json_source
from db.registry import get_model
from db.result_filters import ResultFilter, resolved
from db.tables import Json, Model, Prediction, Review

#: Few enough that what is read is still in the processor's cache when it is written.
_ROWS = 1_000


def read_in_bulk(connection: Connection, statement: Select[Any]) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a select of results, streamed, in batches; every row has the fields of Result in their order.

    Values are Result's but for two kinds, which are text as files have it: JSON as the document that is stored, and
    times in ISO form in UTC. None where there is nothing.
    """
    columns = [_as_text(connection, column) for column in statement.selected_columns]
    bulk = statement.with_only_columns(*columns, maintain_column_froms=True)
    return connection.execution_options(yield_per=_ROWS).execute(bulk).partitions()


def count_cheaply(connection: Connection, statement: Select[Any]) -> int | None:
    """How many rows the select has, some millions a second; None where every review's text or columns would be read."""
    narrowed = statement.whereclause
    if narrowed is not None and Review.__table__ in find_tables(narrowed, check_columns=True):
        return None
    keys = statement.with_only_columns(Prediction.review_id, maintain_column_froms=True).order_by(None)
    return connection.scalar(select(func.count()).select_from(keys.subquery()))


def labels_of_one_model(connection: Connection, wanted: ResultFilter) -> tuple[str, ...] | None:
    """The labels, in the model's order, where one model alone can have said what is wanted; None where several can."""
    model_id = resolved(connection, wanted).model_id
    if model_id is not None:
        return tuple(get_model(connection, model_id).labels)
    has_spoken = select(Prediction.review_id).where(Prediction.model_id == Model.id).exists()
    found = connection.scalars(select(Model.labels).where(has_spoken).limit(2)).all()
    return tuple(found[0]) if len(found) == 1 else None


def _as_text(connection: Connection, column: Any) -> Any:
    if isinstance(column.type, type(Json)):
        return json_source(connection, column)
    return iso_time(connection, column) if isinstance(column.type, UtcDateTime) else column
