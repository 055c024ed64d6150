"""What pruning may take: the jobs that are old enough, and of their predictions those that no other job needs.

A prediction is as old as the last job that asked for it: what another job that is younger, or not over, reused is its
result too and stays, as long as that does. So do fine-tuning jobs that made a model, with their examples: they tell
what it was trained on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, tuple_
from sqlalchemy.orm import aliased

from db.database import Database
from db.deletion import columns_referring_to
from db.dialect import is_one_of
from db.errors import JobNotOver
from db.id_set import IdSet
from db.jobs import FINAL_STATES, job_status
from db.tables import Base, Chunk, Job, Prediction


@dataclass(frozen=True, slots=True)
class PruneWish:
    """What is to be pruned: jobs that ended before that time, of these ids and model versions where some are named.

    `keep_latest` keeps the newest prediction of each review, whatever its age.
    """

    before: datetime
    keep_latest: bool = False
    job_ids: tuple[int, ...] = ()
    model_ids: tuple[int, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        """Whether only some jobs are meant."""
        return bool(self.job_ids or self.model_ids)


@dataclass(slots=True)
class OldJob:
    """A job to be pruned. `is_marked` once something of it was deleted."""

    id: int
    kind: str
    model_id: int | None
    is_marked: bool = False


class Prunable:
    """The jobs to be pruned, by id, and what others need. Raises UnknownJob and JobNotOver."""

    def __init__(self, database: Database, wish: PruneWish) -> None:
        self.wish = wish
        self._database = database
        self._needed: dict[int | None, IdSet] = {}
        self._known: set[int] = set()
        with database.read() as connection:
            _check_jobs(connection, wish.job_ids)
            found = connection.execute(select(Job.id, Job.kind, Job.model_id).where(*_selected(wish)).order_by(Job.id))
            self.jobs = {row.id: OldJob(*row) for row in found}
            self._models = {job.model_id for job in self.jobs.values()}
            self._note(connection, ~is_one_of(connection, Job.id, list(self.jobs)))

    def still(self, connection: Connection, job: OldJob) -> bool:
        """Note what other jobs need by now, and say whether this one is still to be pruned: it may be running again."""
        self._note(connection, or_(Job.state.not_in(FINAL_STATES), Job.finished_at >= self.wish.before))
        return job.id in self.jobs

    def free(self, job: OldJob, review_ids: Sequence[int]) -> list[int]:
        """Those of the reviews of which no other job needs the prediction."""
        needed = self._needed.get(job.model_id)
        return list(review_ids) if needed is None else [id_ for id_ in review_ids if id_ not in needed]

    def doomed(self, connection: Connection, job: OldJob, review_ids: Sequence[int]) -> list[ColumnElement[bool]]:
        """The conditions on predictions of these reviews that go with the job."""
        conditions = [Prediction.model_id == job.model_id, is_one_of(connection, Prediction.review_id, review_ids)]
        return [*conditions, _has_newer()] if self.wish.keep_latest else conditions

    def free_runs(self, job: OldJob, rows: Callable[[], int]) -> Iterator[list[int]]:
        """The reviews of a scoring job of which no other needs the prediction, in runs of as many as is said then."""
        for chunk_ids in self.chunk_runs(job, rows) if job.kind == "score" else ():
            with self._database.read() as connection:
                mine = is_one_of(connection, Chunk.id, chunk_ids)
                found = list(connection.scalars(select(Chunk.review_ids).where(mine).order_by(Chunk.position)))
            ids = self.free(job, [id_ for of_chunk in found for id_ in of_chunk])
            while ids:
                run, ids = ids[: (most := rows())], ids[most:]
                yield run

    def chunk_runs(self, job: OldJob, rows: Callable[[], int]) -> Iterator[list[int]]:
        """The ids of the job's chunks, in runs of about so many reviews."""
        with self._database.read() as connection:
            of_job = select(Chunk.id, Chunk.size).where(Chunk.job_id == job.id).order_by(Chunk.position)
            chunks = connection.execute(of_job).all()
        run, reviews = list[int](), 0
        for id_, size in chunks:
            if run and reviews + size > rows():
                yield run
                run, reviews = [], 0
            run.append(id_)
            reviews += size
        if run:
            yield run

    def _note(self, connection: Connection, needed: ColumnElement[bool]) -> None:
        found = connection.execute(select(Job.id, Job.model_id).where(needed)).all()
        for id_, model_id in found:
            if id_ not in self._known:
                self._known.add(id_)
                self.jobs.pop(id_, None)
                if model_id not in self._models:
                    continue
                of_model = self._needed.setdefault(model_id, IdSet())
                chunks = select(Chunk.review_ids).where(Chunk.job_id == id_)
                for ids in connection.scalars(chunks, execution_options={"yield_per": 100}):
                    of_model.add(ids)


def going_with_jobs() -> list[Any]:
    """The columns of tables whose rows go with their job."""
    return [one for one in columns_referring_to(Job) if all(key.ondelete == "CASCADE" for key in one.foreign_keys)]


def column_of_job(table: type[Base]) -> Any:
    """The table's column that says which job a row belongs to."""
    (column,) = (one for one in going_with_jobs() if one.table is table.__table__)
    return column


def _selected(wish: PruneWish) -> list[ColumnElement[bool]]:
    # Of a fine-tuning job that made a model, the registry, its page and its comparisons tell.
    prunable = or_(Job.kind == "score", Job.model_id.is_(None))
    conditions = [Job.state.in_(FINAL_STATES), Job.finished_at < wish.before, prunable]
    if wish.job_ids:
        conditions.append(Job.id.in_(wish.job_ids))
    if wish.model_ids:
        conditions.append(and_(Job.kind == "score", Job.model_id.in_(wish.model_ids)))
    return conditions


def _check_jobs(connection: Connection, job_ids: Sequence[int]) -> None:
    for job_id in job_ids:
        job = job_status(connection, job_id)
        if not job.is_over:
            raise JobNotOver(f"job {job_id} is {job.state}; wait for it, or cancel it: reviewmill jobs cancel {job_id}")
        if job.kind != "score" and job.model_id is not None:
            raise JobNotOver(f"job {job_id} made {job.model} and stays beside it: it tells what that was trained on")


def _has_newer() -> ColumnElement[bool]:
    """Whether there is a newer prediction of the same review; of two at the same moment, the later model's."""
    other = aliased(Prediction)
    newer = tuple_(other.scored_at, other.model_id) > tuple_(Prediction.scored_at, Prediction.model_id)
    return select(other.review_id).where(other.review_id == Prediction.review_id, newer).correlate(Prediction).exists()
