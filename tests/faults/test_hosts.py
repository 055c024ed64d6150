"""A team on several hosts, of which some are cut off: no packet comes through, and nobody is told.

`store` has the database, the broker and the model store, `west` a worker and the producer, `east` another worker. Each
host has a home of its own, and nothing else to find a model by. The tests look at the database past the network.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from db.jobs import JobStatus
from db.tables import Chunk
from tests.faults.conftest import Survived
from tests.faults.hosts import Host, Network, make_network
from tests.faults.servers import PostgreSQLOnHost, RedisOnHost, S3OnHost
from tests.faults.team import Team, stop
from tests.system import Started, is_stopped, nothing_runs, wait_until

#: What a machine that is busy may take for any of it: four processes start, graphs are built, a chunk is inferred anew.
_PATIENCE_S = 300.0
MODEL = "stars"
#: Says what settings are for a connection of ours: the first argument is the URL, the others are their names.
_SHOW = """
import sys
from sqlalchemy import text
from db.database import Database
with Database(sys.argv[1]).read() as connection:
    print(*[connection.scalar(text(f"SHOW {name}")) for name in sys.argv[2:]])
"""


@dataclass(frozen=True)
class Site:
    """The hosts, and the team that works on them."""

    network: Network
    store: Host
    west: Host
    east: Host
    team: Team
    postgresql: PostgreSQLOnHost
    redis: RedisOnHost

    def worker(self, host: Host) -> Started:
        """Start a worker on a host, and wait until it is ready."""
        worker = self.team.start(
            "worker", "--devices", "cpu", "--queues", "score", under=host.inside, **host.environment
        )
        wait_until(lambda: "worker_ready" in worker.said(), _PATIENCE_S)
        return worker

    def faulty_worker(self, host: Host, fault: str) -> Started:
        """Start one with a fault on a host."""
        return self.team.start(fault, module="tests.faults.faulty_worker", under=host.inside, **host.environment)

    def enqueue(self, source: Path) -> int:
        """Enqueue the scoring of a file on the host of the producer; return the job's id."""
        done = self.score(source)
        assert done.returncode == 0, done
        return int(json.loads(done.stdout)["job_id"])

    def add_model(self) -> None:
        """Register the team's model on the producer's host, and take its folder away: it is in the store."""
        folder = self.west.home / "brought"
        shutil.copytree(self.team.model, folder)
        self.run("models", "add", folder, "--name", MODEL).check_returncode()
        shutil.rmtree(folder)

    def score(self, source: Path) -> "subprocess.CompletedProcess[str]":
        """Run `reviewmill score --no-wait` there to its end."""
        return self.run("score", source, "--text", "body", "--id", "key", "--model", MODEL, "--no-wait", "--json")

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run `reviewmill ARGUMENTS` on the host of the producer."""
        command = [*self.west.inside, sys.executable, "-m", "cli.main", *map(str, arguments)]
        environment = {**os.environ, **self.west.environment}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)

    def wait_for_end(self, job_id: int) -> JobStatus:
        """Wait until the job is over, and return how it ended."""
        return self.team.wait_for_end(job_id, _PATIENCE_S)

    def chunks_of(self, host: Host) -> set[int]:
        """The chunks that workers of the host hold, by SQL, with some of their reviews inferred."""
        mine = Chunk.lease_owner.like(f"{host.name}:%")
        with self.team.database.read() as connection:
            return set(connection.scalars(select(Chunk.id).where(mine, Chunk.state == "leased", Chunk.scored > 0)))

    def attempts(self, job_id: int) -> dict[int, int]:
        """How often each chunk of the job was claimed."""
        return dict(zip(self.team.chunk_ids(job_id), self.team.attempts(job_id), strict=True))

    def wait_until_in_mid_chunk(self, host: Host) -> set[int]:
        """Wait until a worker of the host is in the middle of a chunk; return what it holds."""
        wait_until(lambda: self.chunks_of(host), _PATIENCE_S)
        return self.chunks_of(host)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with make_network(tmp_path) as made:
        made.add("store")
        made.add("west")
        made.add("east")
        yield made
        for host in made.hosts:
            wait_until(lambda: nothing_runs(host.home), 40)  # noqa: B023


@pytest.fixture
def server(network: Network) -> Iterator[RedisOnHost]:
    """The team's Redis, on its host."""
    with tempfile.TemporaryDirectory(prefix="reviewmill-redis-") as folder:
        started = RedisOnHost(network.hosts[0], Path(folder))
        started.start()
        yield started
        started.stop()


@pytest.fixture
def postgresql(network: Network) -> Iterator[PostgreSQLOnHost]:
    with tempfile.TemporaryDirectory(prefix="reviewmill-store-") as folder:
        started = PostgreSQLOnHost(network.hosts[0], Path(folder))
        started.start()
        yield started
        started.stop()


@pytest.fixture
def database_url(postgresql: PostgreSQLOnHost) -> str:
    """The team's database, as the tests reach it."""
    return postgresql.url_of_tests


@pytest.fixture
def site(
    network: Network,
    team: Team,
    postgresql: PostgreSQLOnHost,
    server: RedisOnHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", postgresql.url)
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", server.url)
    s3 = S3OnHost(network.hosts[0], tmp_path)
    s3.start()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    made = Site(network, *network.hosts, team, postgresql, server)
    made.add_model()
    return made


def test_a_worker_host_that_is_cut_off_in_mid_chunk(site: Site, survived: Survived) -> None:
    west, east = site.worker(site.west), site.worker(site.east)
    first = site.enqueue(site.team.write_long_reviews(2_000))
    lost = site.wait_until_in_mid_chunk(site.east)
    site.network.cut(site.east)
    # Still cut off: it knows by its own clock alone.
    wait_until(lambda: "lease_lost" in east.said(), _PATIENCE_S)
    job = site.wait_for_end(first)
    assert (job.state, job.scored, job.failed) == ("done", 2_000, 0)
    site.team.check_books(first)
    assert all(attempt > 1 for chunk, attempt in site.attempts(first).items() if chunk in lost)
    before = site.team.predictions()
    # Only the one that was cut off is left for the next job.
    assert "worker_died" not in stop(west)
    site.network.heal(site.east)
    second = site.enqueue(site.team.write_reviews(50, "next.csv"))
    job = site.wait_for_end(second)
    assert (job.state, job.scored) == ("done", 50)
    site.team.check_books(second)
    assert site.team.predictions()[:2_000] == before
    site.team.check_books(first)
    assert "worker_died" not in stop(east)
    assert ["model_fetched" in worker.said() for worker in (west, east)] == [True, True]
    survived(
        f"a worker's host cut off in mid-chunk ({len(lost)} held), healed later",
        "it gave up by its own clock, another host finished; healed, it did the next job; nothing changed of the first",
    )


def test_postgresql_gives_up_on_a_silent_connection_as_workers_do(
    network: Network, postgresql: PostgreSQLOnHost
) -> None:
    """What the long test of a transaction that is cut off relies on."""
    names = ("idle", "interval", "count")
    settings = [*(f"tcp_keepalives_{name}" for name in names), "tcp_user_timeout"]
    command = [*network.hosts[1].inside, sys.executable, "-c", _SHOW, postgresql.url, *settings]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["5", "5", "2", "15000"]


@pytest.mark.long
def test_a_late_commit_of_a_host_that_was_cut_off(site: Site, survived: Survived) -> None:
    zombie = site.faulty_worker(site.east, "trust-in-the-lease")
    job_id = site.enqueue(site.team.write_long_reviews(500))
    site.wait_until_in_mid_chunk(site.east)
    site.network.cut(site.east)
    heir = site.worker(site.west)
    assert site.wait_for_end(job_id).scored == 500
    before = site.team.predictions()
    # Everything is inferred, and there is nobody to write it to.
    wait_until(lambda: "commit_waits" in zombie.said(), _PATIENCE_S)
    site.network.heal(site.east)
    wait_until(lambda: "lease_lost" in zombie.said() or "chunk_scored" in zombie.said(), _PATIENCE_S)
    assert "chunk_scored" not in zombie.said()
    assert site.team.predictions() == before
    # On a machine that is very busy the heir may have lost the chunk too, and taken it again.
    assert site.team.attempts(job_id)[0] >= 2
    site.team.check_books(job_id)
    stop(heir)
    zombie.kill()
    survived("a commit that comes after its host was cut off for longer than its lease", "SQL refused it")


@pytest.mark.long
def test_a_host_that_is_cut_off_in_the_middle_of_a_transaction(site: Site, survived: Survived) -> None:
    stuck = site.faulty_worker(site.east, "stop-in-a-transaction")
    job_id = site.enqueue(site.team.write_long_reviews(500))
    wait_until(lambda: is_stopped(stuck.pid), _PATIENCE_S)
    site.network.cut(site.east)
    cut = time.monotonic()
    heir = site.worker(site.west)
    job = site.wait_for_end(job_id)
    took_s = time.monotonic() - cut
    assert (job.state, job.scored) == ("done", 500)
    site.team.check_books(job_id)
    stop(heir)
    stuck.kill()
    survived(
        "a worker's host cut off while a transaction of its own holds the chunk's row",
        f"PostgreSQL ended the transaction; another host had done the job {took_s:.0f} s after the cut",
    )


@pytest.mark.long
def test_the_database_and_the_broker_cut_off_from_everybody(site: Site, survived: Survived) -> None:
    workers = [site.worker(site.west), site.worker(site.east)]
    job_id = site.enqueue(site.team.write_long_reviews(3_000))
    for host in (site.west, site.east):
        site.wait_until_in_mid_chunk(host)
    site.network.cut(site.store)
    for worker in workers:
        wait_until(lambda: "lease_lost" in worker.said(), _PATIENCE_S)  # noqa: B023
    refused = site.score(site.team.write_reviews(5, "refused.csv"))
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    site.network.heal(site.store)
    healed = time.monotonic()
    job = site.wait_for_end(job_id)
    took_s = time.monotonic() - healed
    assert (job.state, job.scored, job.failed) == ("done", 3_000, 0)
    site.team.check_books(job_id)
    _check_nothing_counted(site, job_id)
    assert not [log for log in map(stop, workers) if "worker_died" in log]
    survived(
        "database and broker cut off from all workers for longer than a lease",
        f"workers gave up and came back by themselves; the job was done {took_s:.0f} s after",
    )


@pytest.mark.long
def test_the_database_and_the_broker_lose_their_power(site: Site, survived: Survived) -> None:
    worker = site.worker(site.west)
    job_id = site.enqueue(site.team.write_long_reviews(1_000))
    site.wait_until_in_mid_chunk(site.west)
    site.team.database.close()
    site.network.replace(site.store)
    site.redis.start()
    site.postgresql.start()
    back = time.monotonic()
    job = site.wait_for_end(job_id)
    took_s = time.monotonic() - back
    assert (job.state, job.scored, job.failed) == ("done", 1_000, 0)
    site.team.check_books(job_id)
    _check_nothing_counted(site, job_id)
    assert "worker_died" not in stop(worker)
    survived(
        "the database's and the broker's host loses its power in mid-chunk: connections half open, Redis empty",
        f"the worker reconnected by itself; the job was done {took_s:.0f} s after",
    )


def _check_nothing_counted(site: Site, job_id: int) -> None:
    with site.team.database.read() as connection:
        assert set(connection.scalars(select(Chunk.errors).where(Chunk.job_id == job_id))) == {0}
