"""Whatever happens, in whatever order: every job ends, and the books balance.

`REVIEWMILL_CHAOS_SEED` plays one order again; how the processes fall in with it is up to the machine.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest

from db.tables import Prediction, Review
from tests.faults.conftest import Survived
from tests.faults.team import ON_SQLITE, Team, stop
from tests.system import Started, wait_until

#: Two workers, six jobs of a thousand reviews, and something that breaks every second or two.
_CHAOS_S = 100
_JOBS = 6
_REVIEWS = 1_000


class Chaos:
    """Breaks one thing at a time, by a seeded choice."""

    def __init__(self, team: Team, seed: int) -> None:
        self._team = team
        self._random = random.Random(seed)
        self.workers = [self._worker() for _ in range(2)]
        self.jobs: list[int] = []
        self.done: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Break things for that long, while jobs keep coming."""
        faults: dict[Callable[[], None], int] = {
            self.kill_a_process: 4,
            self.pause_a_process: 4,
            self.kill_a_supervisor: 1,
            self.flush: 3,
            self.restart_redis: 2,
            self.cancel_a_job: 1,
            self.ring_a_chunk: 3,
        }
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(self.jobs) < _JOBS and self._random.random() < 0.4:
                self.enqueue()
            (fault,) = self._random.choices(list(faults), list(faults.values()))
            fault()
            time.sleep(self._random.uniform(0.2, 3.0))
        while len(self.jobs) < _JOBS:
            self.enqueue()

    def enqueue(self) -> None:
        """One more job; half of its reviews are those of the job before."""
        path = self._team.folder / "reviews.csv"
        first = len(self.jobs) * _REVIEWS // 2
        text = "the screen is wonderful and the price terrible " * 8
        rows = [f"{number},number {number} {text}" for number in range(first, first + _REVIEWS)]
        path.write_text("\n".join(["key,body", *rows]) + "\n")
        self.jobs.append(self._team.enqueue(path))

    def kill_a_process(self) -> None:
        self._signal(signal.SIGKILL)

    def pause_a_process(self) -> None:
        pid = self._signal(signal.SIGSTOP)
        time.sleep(self._random.choice([1.0, 6.0]))  # within its lease, and past it
        if pid is not None and pid in self._team.processes():
            os.kill(pid, signal.SIGCONT)

    def kill_a_supervisor(self) -> None:
        at = self._random.randrange(len(self.workers))
        self.workers[at].kill()
        self.workers[at].wait()
        self.workers[at] = self._worker()
        self.done["supervisor killed"] += 1

    def flush(self) -> None:
        self._team.redis().flushall()
        self.done["FLUSHALL"] += 1

    def restart_redis(self) -> None:
        self._team.server.stop()
        time.sleep(self._random.uniform(0, 3))
        self._team.server.start()
        self.done["Redis restarted"] += 1

    def cancel_a_job(self) -> None:
        if self.done["cancel"] < 2 and len(self.jobs) == _JOBS:
            self._team.command("jobs", "cancel", self._random.choice(self.jobs))
            self.done["cancel"] += 1

    def ring_a_chunk(self) -> None:
        if self.jobs:
            chunks = self._team.chunk_ids(self._random.choice(self.jobs))
            self._team.ring(self._random.choice(chunks), times=3)
            self.done["ring thrice"] += 1

    def _worker(self) -> Started:
        worker = self._team.worker("--queues", "score")
        # Without a Redis it would refuse to start, and a service manager would have to try again.
        wait_until(lambda: "worker_started" in worker.said())
        return worker

    def _signal(self, number: signal.Signals) -> int | None:
        pids = self._team.processes()
        if not pids:
            return None
        pid = self._random.choice(pids)
        os.kill(pid, number)
        self.done[number.name] += 1
        return pid


@ON_SQLITE
@pytest.mark.long
def test_chaos(team: Team, survived: Survived) -> None:
    seed = int(os.environ.get("REVIEWMILL_CHAOS_SEED", random.randrange(2**32)))
    print(f"REVIEWMILL_CHAOS_SEED={seed}")  # noqa: T201  (shown where the test fails)
    chaos = Chaos(team, seed)
    chaos.run(_CHAOS_S)
    jobs = [team.wait_for_end(job_id, timeout_s=300) for job_id in chaos.jobs]
    states = Counter(job.state for job in jobs)
    assert states.keys() <= {"done", "failed", "cancelled"}
    assert states["done"] >= _JOBS - 2
    for job_id in chaos.jobs:
        job = team.check_books(job_id)
        assert job.failed == 0
    assert team.count(Prediction) <= team.count(Review) == _REVIEWS // 2 * (_JOBS + 1)
    for worker in chaos.workers:
        stop(worker)
    broken = ", ".join(f"{what} {count}x" for what, count in sorted(chaos.done.items()))
    survived(f"chaos over {_JOBS} jobs (seed {seed}): {broken}", f"{dict(states)}, and the books balance")
