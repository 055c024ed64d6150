"""Everything killed at once, and started again."""

import os
import signal

from db.tables import Prediction
from tests.faults.conftest import Survived
from tests.faults.team import ON_SQLITE, Team, stop
from tests.system import processes_of


@ON_SQLITE
def test_kill_9_of_the_whole_stack(team: Team, survived: Survived) -> None:
    worker = team.worker()
    first = team.enqueue(team.write_long_reviews(1_000))
    second = team.enqueue(team.write_reviews(300, "second.csv"))
    team.wait_until_mid_chunk()
    for pid in [*processes_of(team.home), team.server.process.pid]:
        os.kill(pid, signal.SIGKILL)
    team.server.process.wait()
    worker.wait()
    assert team.count(Prediction) < 1_300
    team.server.start()
    heir = team.worker()
    for job_id, total in ((first, 1_000), (second, 300)):
        job = team.wait_for_end(job_id)
        assert (job.state, job.scored, job.failed) == ("done", total, 0)
        team.check_books(job_id)
    assert team.count(Prediction) == 1_300
    stop(heir)
    survived(
        "kill -9 of workers, supervisor and Redis at once", "started again, it finished both jobs: 1,300 predictions"
    )
