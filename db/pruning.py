"""Pruning: deleting what jobs that ended long ago left behind, in short transactions.

A job loses its predictions, its failures, and in its chunks the ids of reviews that it has no prediction of any more;
once nothing refers to it, it goes itself. With the first deletion it is marked, and never run again with
what is left. Last go the reviews that nothing refers to. It may be ended at any time, and run again.

The newest job stays, without its results: SQLite would give its id to the next.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, delete, func, select, tuple_, update

from db.clock import database_time
from db.database import Database
from db.deletion import Account, columns_referring_to, is_cascade
from db.dialect import is_one_of
from db.id_set import IdSet
from db.jobs import PRUNED
from db.orphans import Orphans
from db.pace import Pace
from db.prunable import OldJob, Prunable, PruneWish, column_of_job, going_with_jobs
from db.tables import Base, Chunk, Failure, Job, JobCount, Prediction

#: The chunks, bare by the end, and the counts of a job go in one with it, so that what it counted is never half there.
_COUNTING = (Base.metadata.tables[Chunk.__tablename__], Base.metadata.tables[JobCount.__tablename__])
#: Told how many rows were dealt with since it was told last.
Progress = Callable[[int], None]


class Pruning:
    """One run over the database. Raises UnknownJob and JobNotOver."""

    def __init__(self, database: Database, wish: PruneWish, progress: Progress = lambda _rows: None) -> None:
        self.pace = Pace()
        self._database, self._progress = database, progress
        self._prunable = Prunable(database, wish)
        self._account = Account()
        #: Reviews that lost a prediction, or their place in a job.
        self._touched = IdSet()

    def run(self) -> Account:
        """Delete, and return what was."""
        for step in (self._prune_predictions, self._prune_chunks, self._prune_failures, self._prune_job):
            for job in list(self._prunable.jobs.values()):
                step(job)
        orphans = Orphans(self._database, self._prunable.wish.before)
        orphans.gather()
        narrowed = self._touched.members() if self._prunable.wish.is_narrowed else None
        orphans.delete(self._account.of("reviews"), narrowed, self.pace, self._progress)
        return self._account

    def _prune_predictions(self, job: OldJob) -> None:
        for ids in self._prunable.free_runs(job, lambda: self.pace.rows):
            self._touched.add(ids)
            with self._transaction(job) as connection:
                if connection is None:
                    return
                doomed = self._prunable.doomed(connection, job, self._prunable.free(job, ids))
                times = list(connection.scalars(delete(Prediction).where(*doomed).returning(Prediction.scored_at)))
                self._account.of("predictions").add(len(times), times)
                if times:
                    _mark(connection, job)
            self._progress(len(times))

    def _prune_chunks(self, job: OldJob) -> None:
        for chunk_ids in self._prunable.chunk_runs(job, lambda: self.pace.rows):
            with self._transaction(job) as connection:
                if connection is None:
                    return
                mine = is_one_of(connection, Chunk.id, chunk_ids)
                for id_, ids in connection.execute(select(Chunk.id, Chunk.review_ids).where(mine)).all():
                    predicted = _predicted(connection, job, ids)
                    left = [one for one in ids if one in predicted]
                    if left != ids:
                        self._touched.add(ids)
                        connection.execute(update(Chunk).where(Chunk.id == id_).values(review_ids=left))
                        _mark(connection, job)

    def _prune_failures(self, job: OldJob) -> None:
        self._prune_rows(job, column_of_job(Failure))

    def _prune_job(self, job: OldJob) -> None:
        with self._database.read() as connection:
            if not _can_go(connection, job.id):
                return
        for column in going_with_jobs():
            if column.table not in _COUNTING:
                self._prune_rows(job, column)
        with self._transaction(job) as connection:
            if connection is not None and _can_go(connection, job.id):
                finished = connection.scalar(select(Job.finished_at).where(Job.id == job.id))
                for table in _COUNTING:
                    rows = connection.execute(delete(table).where(table.c.job_id == job.id)).rowcount
                    self._account.of(table.name).add(rows, [])
                connection.execute(delete(Job).where(Job.id == job.id))
                self._account.of("jobs").add(1, [finished])

    @contextmanager
    def _transaction(self, job: OldJob) -> Iterator[Connection | None]:
        """A transaction to delete of the job in; None where it is running again, or needed."""
        # Looked first, while nobody waits: a job that came meanwhile may have ten million reviews.
        with self._database.read() as connection:
            self._prunable.still(connection, job)
        with self.pace.transaction(self._database) as connection:
            yield connection if self._prunable.still(connection, job) else None

    def _prune_rows(self, job: OldJob, column: Any) -> None:
        """Delete the rows of a table whose column names the job."""
        table, key, rows = column.table, list(column.table.primary_key.columns), 1
        while rows:
            with self._transaction(job) as connection:
                if connection is None:
                    return
                some = select(*key).where(column == job.id).limit(self.pace.rows)
                rows = connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount
                if rows:
                    _mark(connection, job)
                    self._account.of(table.name).add(rows, [])
            self._progress(rows)


def _mark(connection: Connection, job: OldJob) -> None:
    """Write down when the first was deleted of the job."""
    if job.is_marked:
        return
    params = connection.scalar(select(Job.params).where(Job.id == job.id).with_for_update(key_share=True)) or {}
    pruned = {PRUNED: database_time(connection).isoformat(timespec="seconds")}
    connection.execute(update(Job).where(Job.id == job.id).values(params={**params, **pruned}))
    job.is_marked = True


def _predicted(connection: Connection, job: OldJob, ids: Sequence[int]) -> set[int]:
    if job.kind != "score":
        return set()
    mine = (is_one_of(connection, Prediction.review_id, ids), Prediction.model_id == job.model_id)
    return set(connection.scalars(select(Prediction.review_id).where(*mine)))


def _can_go(connection: Connection, job_id: int) -> bool:
    """Whether nothing stands in the way of the job's deletion."""
    if connection.scalar(select(func.max(Job.id))) == job_id:
        return False
    standing = [one for one in columns_referring_to(Job) if not is_cascade(one)]
    return not any(connection.scalar(select(1).where(column == job_id).limit(1)) for column in standing)
