"""A job as a program holds it: to look at, wait for, read the results of, cancel and run again."""

import time
from collections.abc import Iterator

from db.jobs import JobStatus, cancel_job, job_status
from db.results import Result, ResultFilter, find_results
from db.retry import Retried
from producer.errors import JobFailed
from producer.notify import await_first_attempt
from producer.session import Session

_LOOK_S = 0.2


class Job:
    """One job, by its number. It is in the database whole: nothing is lost with this object.

    Every method raises DatabaseUnreachable where the database does not answer.
    """

    def __init__(self, job_id: int, session: Session) -> None:
        self.id = job_id
        self._session = session

    def __repr__(self) -> str:
        return f"Job({self.id})"

    def status(self) -> JobStatus:
        """How far it is: `state` is pending, running, done, failed or cancelled, and
        `scored + reused + failed` of `total` rows are through. `model` is what it scores with or has made,
        as NAME@VERSION.
        """
        with self._session.database.read() as connection:
            return job_status(connection, self.id)

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until it is done, and return how it ended.

        Without a Redis of a team's own, an embedded stack is started for the wait where none runs. `timeout` is in
        seconds from now, None for ever; the start of a stack, which takes a few, may exceed it. Raises TimeoutError,
        after which the job is where it was, JobFailed for one that failed or was cancelled, and BrokerError where
        there is no Redis or no stack to be had.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        job = self.status()
        if not job.is_over:
            with self._session.stack():
                job = self._wait_until(deadline)
                if self._session.is_embedded:
                    await_first_attempt(self._session.database, self.id)
        if job.state != "done":
            raise JobFailed(job)
        return job

    def results(
        self,
        *,
        label: str | None = None,
        min_probability: float | None = None,
        max_probability: float | None = None,
        uncertain: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Result]:
        """What the model says of each review, as far as the job is, in the order in which reviews were stored.

        A result's `probabilities` has every label's, 0 to 1; their sum is 1 where labels exclude one another, and of a
        regression it is the number itself. `score` is that of its `label`. Repeated rows have one result, and rows
        that failed have none. Filters are those of `reviewmill results`: the bounds are those of `score`, and
        `uncertain` asks for that many of the reviews whose answer is closest to tipping over, closest first.

        Rows are read as they are asked for. With the first, raises UnknownLabel, and UnknownJob for a fine-tuning job.
        """
        wanted = ResultFilter(
            job_id=self.id,
            label=label,
            min_probability=min_probability,
            max_probability=max_probability,
            uncertain=uncertain,
            limit=limit,
        )
        with self._session.database.read() as connection:
            yield from find_results(connection, wanted)

    def cancel(self) -> bool:
        """End it where it stands, keeping what was scored; return whether it was still going."""
        with self._session.database.write() as connection:
            return cancel_job(connection, self.id)

    def retry(self) -> Retried:
        """Run again what failed of it, and only that; `chunks` and `rows` of the answer tell how much. Does not wait.

        Raises JobCancelled, and RedisUnreachable for a team's Redis that does not answer.
        """
        return self._session.doorway().retry(self.id)

    def _wait_until(self, deadline: float | None) -> JobStatus:
        while not (job := self.status()).is_over:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"job {self.id} is {job.state} still")
            time.sleep(_LOOK_S)
        return job
