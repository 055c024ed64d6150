"""The first results of all models together: an index has those of each in their order, and none has those of all."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, select, union_all

from db.result_filters import ResultFilter, able_models
from db.result_order import ordered
from db.tables import Prediction, Review

#: Each costs a look into the index. Both databases take as many in one statement.
_MOST_MODELS = 100


def first_of_each(
    connection: Connection, wanted: ResultFilter, conditions: Sequence[ColumnElement[bool]]
) -> Subquery | None:
    """Review and model of those that a resolved filter's page had of each model alone, which has all that it has.

    None where one index has the order anyway, or nothing has.
    """
    if wanted.model_id is not None or wanted.is_by_id or not wanted.is_page_of_an_index:
        return None
    models = able_models(connection, wanted)
    if not 0 < len(models) <= _MOST_MODELS:
        return None
    columns: list[Any] = [Prediction.review_id, Prediction.model_id]
    keys = select(*columns).join(Review, Review.id == Prediction.review_id).where(*conditions)
    each = [ordered(connection, keys.where(Prediction.model_id == model_id), wanted).subquery() for model_id in models]
    return union_all(*map(select, each)).subquery()
