"""Reviews that nothing refers to any more: no prediction, failure, example or job, nor whatever table comes later."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, select

from db.database import Database
from db.deletion import Doomed, columns_referring_to
from db.dialect import is_one_of
from db.id_set import IdSet
from db.pace import Pace
from db.tables import Chunk, Job, Prediction, Review

#: Rows read at once.
_ROWS = 10_000


class Orphans:
    """Finds and deletes reviews that were stored before a time and are not referred to.

    The newest review stays: SQLite would give its id to the next.
    """

    def __init__(self, database: Database, before: datetime) -> None:
        self._database, self._before = database, before
        self._kept = IdSet()
        self._known_jobs: set[int] = set()

    def gather(
        self, skipped: Mapping[str, set[int]] | None = None, gone: Mapping[int | None, IdSet] | None = None
    ) -> None:
        """Note every review that is referred to, but not by rows that are to be deleted before.

        Those are rows of the `skipped` jobs, by table, and predictions of the reviews that are `gone`, by model.
        """
        skipped = skipped or {}
        with self._database.read() as connection:
            for column in columns_referring_to(Review):
                if column.table is Prediction.__table__ and gone:
                    self._keep_predicted(connection, gone)
                else:
                    self._keep_referred(connection, column, skipped.get(column.table.name, set()))
            self._keep_of_jobs(connection, skipped.get("chunks", set()))

    def count(self, account: Doomed, candidates: Iterator[int] | None) -> None:
        """Count those that `delete` would delete."""
        for ids in self._runs(candidates, lambda: _ROWS):
            with self._database.read() as connection:
                self._count(account, self._old(connection, ids))

    def delete(
        self, account: Doomed, candidates: Iterator[int] | None, pace: Pace, progress: Callable[[int], None]
    ) -> None:
        """Delete all of them, or those among the candidates."""
        for ids in self._runs(candidates, lambda: pace.rows):
            # Most ids may be those of reviews that went long ago, for which nobody need wait.
            with self._database.read() as connection:
                self._keep_of_jobs(connection, self._known_jobs)
                old = [row.id for row in self._old(connection, ids)]
            if old:
                with pace.transaction(self._database) as connection:
                    self._delete(connection, account, old)
                progress(len(old))

    def _delete(self, connection: Connection, account: Doomed, ids: list[int]) -> None:
        self._keep_of_jobs(connection, self._known_jobs)
        ids = [id_ for id_ in ids if id_ not in self._kept]
        # Locked first: nobody can refer to them from then on, and whoever is about to is not waited for.
        mine = select(Review.id).where(is_one_of(connection, Review.id, ids)).with_for_update(skip_locked=True)
        free = set(connection.scalars(mine))
        for column in columns_referring_to(Review):
            free -= set(connection.scalars(select(column).where(is_one_of(connection, column, sorted(free)))))
        self._count(account, self._old(connection, sorted(free)))
        connection.execute(delete(Review).where(is_one_of(connection, Review.id, sorted(free))))

    def _runs(self, candidates: Iterator[int] | None, rows: Callable[[], int]) -> Iterator[list[int]]:
        with self._database.read() as connection:
            newest = connection.scalar(select(func.max(Review.id))) or 0
        ids = self._kept.absent(newest) if candidates is None else candidates
        free = (id_ for id_ in ids if id_ < newest and id_ not in self._kept)
        while run := list(islice(free, rows())):
            yield run

    def _old(self, connection: Connection, ids: list[int]) -> list[Any]:
        columns = (Review.id, Review.created_at, Review.external_id, Review.source)
        old = select(*columns).where(is_one_of(connection, Review.id, ids), Review.created_at < self._before)
        return list(connection.execute(old.order_by(Review.id)))

    def _count(self, account: Doomed, rows: list[Any]) -> None:
        account.add(len(rows), [row.created_at for row in rows])
        if rows and account.example is None:
            account.example = f"review {rows[0].external_id} of {rows[0].source}"

    def _keep_referred(self, connection: Connection, column: Any, skipped_jobs: set[int]) -> None:
        found = select(column).where(column.is_not(None))
        if skipped_jobs:
            found = found.where(~is_one_of(connection, column.table.columns["job_id"], sorted(skipped_jobs)))
        for ids in connection.scalars(found, execution_options={"yield_per": _ROWS}).partitions(_ROWS):
            self._kept.add(ids)

    def _keep_predicted(self, connection: Connection, gone: Mapping[int | None, IdSet]) -> None:
        none, pairs = IdSet(), select(Prediction.review_id, Prediction.model_id)
        for part in connection.execute(pairs, execution_options={"yield_per": _ROWS}).partitions(_ROWS):
            self._kept.add(id_ for id_, model_id in part if id_ not in gone.get(model_id, none))

    def _keep_of_jobs(self, connection: Connection, skipped: Iterable[int]) -> None:
        jobs = set(connection.scalars(select(Job.id)))
        wanted = sorted(jobs.difference(skipped))
        chunks = select(Chunk.review_ids).where(is_one_of(connection, Chunk.job_id, wanted))
        for ids in connection.scalars(chunks, execution_options={"yield_per": 100}) if wanted else ():
            self._kept.add(ids)
        self._known_jobs |= jobs
