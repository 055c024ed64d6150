"""Scoring what is new of a source that grows: rows that were scored before make no work."""

from collections.abc import Collection

from db.database import Database
from db.predictions import already_scored
from db.tables import TRUNCATE
from producer.intake import Intake


def leave_out_scored(
    database: Database, intake: Intake, model_ids: Collection[int], precision: str | None, reading: str = TRUNCATE
) -> int:
    """Leave out of the intake the reviews that one of these model versions has scored; return how many rows.

    Only answers in the precision asked for, or a more exact one, count, and of texts beyond the model's limit those
    that were read in the same way. A text that was changed is another review, and
    so is the same text under another id, which costs no inference.
    """

    def scored(ids: Collection[int]) -> set[int]:
        with database.read() as connection:
            return already_scored(connection, list(ids), list(model_ids), precision, reading)

    return intake.leave_out(scored)
