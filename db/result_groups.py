"""How many predictions there are of each kind: by label, source, model, time, or a column kept beside the reviews."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Select, String, cast, func, select

from db.dialect import bytewise, day_of, json_text, month_of, week_of
from db.errors import BadFilter
from db.kept import check_kept_columns, kept_columns
from db.result_filters import ResultFilter, on_predictions, on_reviews, resolved
from db.result_order import check_sort
from db.tables import Model, Prediction, Review

#: What predictions are grouped by, beside the columns that are kept.
GROUPS = ("label", "source", "model", "day", "week", "month")
#: What stands before the name of a column that is kept.
METADATA = "metadata."
_TIMES = {"day": day_of, "week": week_of, "month": month_of}
_OF_REVIEWS = ("source", METADATA)
#: What groups can be sorted by: how many there are in each, its mean probability, or what they are grouped by.
GROUP_SORTS = ("count", "-count", "probability", "-probability", "group", "-group")


@dataclass(frozen=True, slots=True)
class Group:
    """The predictions that have these values of what they are grouped by, in the order asked for.

    A value is None where a review has none in a column that is kept. `mean_probability` is that of the scores, and
    `share` the part of all predictions that pass the filter, 0 to 1.
    """

    values: tuple[str | None, ...]
    count: int
    mean_probability: float
    share: float


def read_groups(connection: Connection, written: Sequence[str]) -> tuple[str, ...]:
    """What a person asked to group by: several with ',' between them, or one after the other.

    A column whose name holds a comma is taken whole. Raises BadFilter and UnknownColumn.
    """
    kept = {METADATA + name for name in kept_columns(connection)}
    groups = [name for one in written for name in ([one] if one in kept else map(str.strip, one.split(",")))]
    for name in groups:
        if name not in GROUPS and not name.startswith(METADATA):
            raise BadFilter(f"nothing can be grouped by {name!r}; possible are: {', '.join(GROUPS)}, metadata.COLUMN")
    if len(set(groups)) < len(groups):
        raise BadFilter(f"grouped by the same twice: {', '.join(groups)}")
    check_kept_columns(connection, [name.removeprefix(METADATA) for name in groups if name.startswith(METADATA)])
    return tuple(groups)


def find_groups(connection: Connection, wanted: ResultFilter, groups: Sequence[str]) -> Iterator[Group]:
    """The groups of the predictions that pass.

    `wanted.sort` is one of GROUP_SORTS; without it times come in their order, and else the largest group first. Groups
    of one size are in the order of what they are grouped by, a missing value last. Raises BadFilter, and what
    result_statement does.
    """
    sort = wanted.sort or ("group" if set(groups) & set(_TIMES) else "-count")
    check_sort(sort, GROUP_SORTS)
    rows = _rows(connection, resolved(connection, wanted), groups).subquery()
    *keys, score = rows.c
    count, mean = func.count(), func.avg(score)
    share = cast(count, Double) / cast(func.sum(count).over(), Double)
    statement = select(*keys, count, mean, share).group_by(*keys)
    statement = statement.order_by(*_order(connection, sort, keys, count, mean)).limit(wanted.limit)
    found = connection.execution_options(yield_per=1_000).execute(statement)
    return (Group(tuple(row[:-3]), *row[-3:]) for row in found)


def _rows(connection: Connection, wanted: ResultFilter, groups: Sequence[str]) -> Select[Any]:
    """A row a prediction: the values it is grouped by, and its score."""
    keys = [_key(connection, name).label(f"key_{number}") for number, name in enumerate(groups)]
    of_reviews = on_reviews(connection, wanted)
    statement = select(*keys, Prediction.score).select_from(Prediction)
    # Only tables that are read: each costs a look-up a prediction.
    if of_reviews or any(name.startswith(_OF_REVIEWS) for name in groups):
        statement = statement.join(Review, Review.id == Prediction.review_id)
    if "model" in groups:
        statement = statement.join(Model, Model.id == Prediction.model_id)
    return statement.where(*on_predictions(connection, wanted), *of_reviews)


def _key(connection: Connection, name: str) -> ColumnElement[Any]:
    if name in _TIMES:
        return _TIMES[name](connection, Prediction.scored_at)
    if name.startswith(METADATA):
        return json_text(connection, Review.extra, name.removeprefix(METADATA))
    columns: dict[str, ColumnElement[Any]] = {
        "label": Prediction.label.expression,
        "source": Review.source.expression,
        "model": Model.name + "@" + cast(Model.version, String),
    }
    return columns[name]


def _order(
    connection: Connection,
    sort: str,
    keys: Sequence[ColumnElement[Any]],
    count: ColumnElement[Any],
    mean: ColumnElement[Any],
) -> list[ColumnElement[Any]]:
    by_key = [bytewise(connection, key) for key in keys]
    name, is_descending = sort.removeprefix("-"), sort.startswith("-")
    if name == "group":
        return [(key.desc() if is_descending else key.asc()).nulls_last() for key in by_key]
    first = {"count": count, "probability": mean}[name]
    return [first.desc() if is_descending else first.asc(), *(key.asc().nulls_last() for key in by_key)]
