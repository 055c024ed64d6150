"""The tables of a later version come under workers that do not know them yet."""

from pathlib import Path

from sqlalchemy import text

from db.database import Database
from db.schema import HEAD_REVISION
from tests.faults.conftest import Survived
from tests.faults.team import Team, stop

#: What a later version may add; see tests/db/test_additive.py.
_ADDED = (
    "ALTER TABLE chunks ADD COLUMN later INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE predictions ADD COLUMN later VARCHAR(16)",
    "ALTER TABLE jobs ADD COLUMN later VARCHAR(16) NOT NULL DEFAULT 'x'",
    "CREATE TABLE later (id INTEGER PRIMARY KEY, job_id INTEGER REFERENCES jobs (id) ON DELETE CASCADE)",
)
_LATER = f"{int(HEAD_REVISION) + 1:04}"


def _migrate(database: Database) -> None:
    with database.write() as connection:
        for statement in _ADDED:
            connection.execute(text(statement))
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": _LATER})


def test_workers_of_this_version_go_on_and_start_anew_under_the_tables_of_the_next(
    team: Team, survived: Survived, tmp_path: Path
) -> None:
    """One that has a chunk in hand, one that starts after, a producer, a beat: all know HEAD_REVISION and no more."""
    before = team.worker()
    team.enqueue(team.write_long_reviews(1_000))
    team.wait_until_mid_chunk()
    _migrate(team.database)
    after = team.worker()
    second = team.enqueue(team.write_reviews(300, "more.csv", "a late one number {}"))
    for job_id, total in ((1, 1_000), (second, 300)):
        job = team.wait_for_end(job_id)
        assert (job.state, job.scored, job.failed) == ("done", total, 0)
        team.check_books(job_id)
    assert max(team.attempts()) == 1
    upgraded = team.command("db", "upgrade")
    assert upgraded.returncode == 0
    assert f"is at revision {_LATER}, which a later version made" in upgraded.stdout + upgraded.stderr
    # Each had chunks, and none met what it could not work with.
    for worker in (before, after):
        said = stop(worker)
        assert "chunk_retry" not in said
        assert "Traceback" not in said
    survived("tables migrated under a worker in mid-chunk", "it went on, another of its version started; books balance")
