"""What a person asks of a scoring, and the job that is made of it."""

from collections.abc import Collection
from dataclasses import dataclass

from db.database import Database
from db.jobs import NewJob
from db.registry import RegisteredModel
from db.tables import TRUNCATE
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.failure_limit import FailureLimit
from producer.reviews_request import ReviewsRequest, Tell, find_reviews
from producer.rows import Columns
from producer.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOptions:
    """How to score; None where nothing was said.

    `model` is a reference, a directory or a hub id. `priority`, `precision` and `long` are among db.tables.PRIORITIES,
    PRECISIONS and READINGS. At most `limit` rows are read. `notify` was let pass by `check_notify`.
    """

    model: str | None = None
    priority: str = "normal"
    precision: str | None = None
    long: str = TRUNCATE
    limit: int | None = None
    max_failures: FailureLimit | None = None
    notify: str | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """A scoring that can be done: its source can be read, and its model is there."""

    source: Source
    columns: Columns
    model: RegisteredModel
    options: ScoringOptions

    def prepare(self, doorway: Doorway, earlier: Collection[int] | None = None) -> NewJob:
        """Read the source; the job is not there before it is enqueued. Raises as `take_in` does.

        With `earlier`, ids of model versions, what they or the model itself have scored is left out.
        """
        said = self.options
        return doorway.prepare_scoring(
            self.source,
            self.columns,
            self.model,
            asked=said.model,
            priority=said.priority,
            precision=said.precision,
            long=said.long,
            limit=said.limit,
            max_failures=said.max_failures,
            notify=said.notify,
            scored_by=() if earlier is None else {self.model.id, *earlier},
        )


def find_scoring(database: Database, reviews: ReviewsRequest, options: ScoringOptions, tell: Tell) -> Scoring:
    """Look for all that is named. Raises as `find_reviews` does, and ModelError, UnknownModel and CheckpointError."""
    source, columns = find_reviews(reviews, tell, database)
    return Scoring(source, columns, find_or_add_model(database, options.model), options)
