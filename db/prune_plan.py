"""What pruning would delete, told beforehand: counts, times and an example of each table. Reads only."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from db.database import Database
from db.deletion import Account
from db.id_set import IdSet
from db.orphans import Orphans
from db.prunable import OldJob, Prunable, PruneWish, going_with_jobs
from db.tables import Failure, Job, Prediction, Review

#: Rows read at once.
_ROWS = 10_000


def plan_pruning(database: Database, wish: PruneWish) -> Account:
    """What `Pruning` would delete now. Raises UnknownJob and JobNotOver."""
    return _Plan(database, wish).make()


class _Plan:
    def __init__(self, database: Database, wish: PruneWish) -> None:
        self._database = database
        self._prunable = Prunable(database, wish)
        self._account = Account()
        #: Of the predictions that would go, the reviews by model, and how many there are by job.
        self._gone: dict[int | None, IdSet] = {}
        self._lost = Counter[int]()
        self._touched = IdSet()

    def make(self) -> Account:
        jobs = self._prunable.jobs
        for job in jobs.values():
            self._predictions(job)
            self._failures(job)
        doomed = self._jobs()
        orphans = Orphans(self._database, self._prunable.wish.before)
        orphans.gather({"failures": set(jobs), "chunks": set(jobs), "examples": doomed}, self._gone)
        narrowed = self._touched.members() if self._prunable.wish.is_narrowed else None
        orphans.count(self._account.of("reviews"), narrowed)
        return self._account

    def _predictions(self, job: OldJob) -> None:
        gone, columns = self._gone.setdefault(job.model_id, IdSet()), (Prediction.review_id, Prediction.job_id)
        for ids in self._prunable.free_runs(job, lambda: _ROWS):
            self._touched.add(ids)
            with self._database.read() as connection:
                doomed = self._prunable.doomed(connection, job, ids)
                found = connection.execute(select(*columns, Prediction.scored_at).where(*doomed)).all()
                # Another job may have had the same review.
                fresh = [row for row in found if row.review_id not in gone]
                self._count_predictions(connection, fresh)
            gone.add(row.review_id for row in fresh)
            self._lost.update(row.job_id for row in fresh)

    def _count_predictions(self, connection: Connection, rows: Sequence[Any]) -> None:
        table = self._account.of("predictions")
        table.add(len(rows), [row.scored_at for row in rows])
        if rows and table.example is None:
            review = select(Review.external_id, Review.source).where(Review.id == rows[0].review_id)
            external_id, source = connection.execute(review).one()
            table.example = f"of review {external_id} of {source}, scored by job {rows[0].job_id}"

    def _failures(self, job: OldJob) -> None:
        counts = (func.count(), func.min(Failure.created_at), func.max(Failure.created_at))
        with self._database.read() as connection:
            rows, *ends = connection.execute(select(*counts).where(Failure.job_id == job.id)).one()
        table = self._account.of("failures")
        table.add(rows, ends)
        if rows and table.example is None:
            table.example = f"of job {job.id}"

    def _jobs(self) -> set[int]:
        """Count the jobs that nothing would refer to any more, with what goes with them; return their ids."""
        with self._database.read() as connection:
            newest = connection.scalar(select(func.max(Job.id)))
            own = select(func.count()).select_from(Prediction)
            doomed = {
                id_
                for id_ in self._prunable.jobs
                if id_ != newest and connection.scalar(own.where(Prediction.job_id == id_)) == self._lost[id_]
            }
            for id_ in sorted(doomed):
                self._count_job(connection, id_)
        return doomed

    def _count_job(self, connection: Connection, job_id: int) -> None:
        table = self._account.of("jobs")
        table.add(1, [connection.scalar(select(Job.finished_at).where(Job.id == job_id))])
        table.example = table.example or f"job {job_id}"
        for column in going_with_jobs():
            # Failures go whether or not their job does, and are counted.
            if column.table is not Failure.__table__:
                rows = connection.scalar(select(func.count()).select_from(column.table).where(column == job_id))
                self._account.of(column.table.name).add(rows or 0, [])
