"""What is right of each review, by all of its annotators."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, select

from db.annotators import agreed
from db.corrections import CorrectionFilter, narrowed
from db.tables import Correction, Model

_COLUMNS: list[Any] = [Correction.review_id, Correction.annotator, Correction.label, Model.problem_type]


def right_labels(connection: Connection, wanted: CorrectionFilter) -> dict[int, str | None]:
    """The label that the annotators of each review agree on, by its id, in order; None for a tie. See db.annotators.

    Of an annotator who looked at the answers of several versions the latest word counts.
    """
    statement = (
        select(*_COLUMNS)
        .join(Model, Model.id == Correction.model_id)
        .order_by(Correction.review_id, Correction.corrected_at, Correction.model_id)
    )
    words: dict[int, dict[str, str]] = defaultdict(dict)
    kinds = {}
    for review_id, annotator, label, problem_type in connection.execute(narrowed(statement, connection, wanted)):
        words[review_id][annotator] = label
        kinds[review_id] = problem_type
    return {review_id: agreed(list(said.values()), kinds[review_id]) for review_id, said in words.items()}


def corrected_questions(connection: Connection) -> dict[tuple[str, str], list[int]]:
    """The versions whose answers were corrected, by id, of each question: those of one name and one problem type."""
    corrected = select(Correction.model_id).distinct()
    found = connection.execute(
        select(Model.id, Model.name, Model.problem_type).where(Model.id.in_(corrected)).order_by(Model.id)
    )
    questions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for id_, name, problem_type in found:
        questions[name, problem_type].append(id_)
    return questions
