"""Settings that are secrets come from files too: each of the three, and passwords apart from their URLs."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.errors import StackError
from broker.redis_server import RedisServer
from broker.settings import BrokerSettings
from db.errors import DatabaseError
from db.settings import DatabaseSettings
from producer import Client
from producer.settings import ProducerSettings
from tests.samples import CHECKPOINTS
from worker.settings import WorkerSettings

Run = Callable[..., subprocess.CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"

READ = {
    "REVIEWMILL_DATABASE_URL": lambda: DatabaseSettings().url,
    "REVIEWMILL_REDIS_URL": lambda: BrokerSettings().url,
    "REVIEWMILL_NOTIFY_SECRET": lambda: ProducerSettings().signing_secret,
}
#: What each is in these tests.
VALUES = {
    "REVIEWMILL_DATABASE_URL": "postgresql://mill:planted@db/reviews",
    "REVIEWMILL_REDIS_URL": "redis://:planted@redis:6379/0",
    "REVIEWMILL_NOTIFY_SECRET": "planted",
}


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], str]:
    """Write a file with a secret, as an editor leaves it; returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "secret"
        path.write_text(f"{text}\n")
        return str(path)

    return write


@pytest.mark.parametrize("name", READ)
def test_a_secret_comes_from_a_file(name: str, secret: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{name}_FILE", secret(VALUES[name]))
    assert READ[name]() == VALUES[name]
    assert WorkerSettings().signing_secret == ("planted" if "NOTIFY" in name else "")
    assert BrokerSettings().is_embedded == ("REDIS" not in name)


@pytest.mark.parametrize("name", READ)
def test_a_secret_of_two_places_is_refused_in_one_line_without_it(
    name: str, secret: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{name}_FILE", secret(VALUES[name]))
    monkeypatch.setenv(name, VALUES[name])
    with pytest.raises((DatabaseError, StackError), match=f"^{name} and {name}_FILE are both set") as raised:
        READ[name]()
    assert "planted" not in str(raised.value)


@pytest.mark.parametrize("password", ["plain", "a/b@c:d#e?f %g&h", "müde"])
def test_a_password_apart_from_its_url(
    password: str, secret: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kombu import Connection
    from sqlalchemy.engine import make_url

    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://mill@db/reviews?sslmode=require")
    monkeypatch.setenv("REVIEWMILL_DATABASE_PASSWORD_FILE", secret(password))
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://worker@redis:6379/2")
    monkeypatch.setenv("REVIEWMILL_REDIS_PASSWORD_FILE", secret(password))
    url = make_url(DatabaseSettings().url)
    assert (url.username, url.password, url.host, url.database) == ("mill", password, "db", "reviews")
    assert url.query == {"sslmode": "require"}
    redis = Connection(BrokerSettings().url)
    assert (redis.userid, redis.password, redis.hostname, redis.virtual_host) == ("worker", password, "redis", "2")


@pytest.mark.parametrize("room", ["DATABASE", "REDIS"])
def test_a_password_without_its_url_or_twice_is_refused(
    room: str, secret: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = READ[f"REVIEWMILL_{room}_URL"]
    monkeypatch.setenv(f"REVIEWMILL_{room}_PASSWORD_FILE", secret("another"))
    with pytest.raises((DatabaseError, StackError), match=f"REVIEWMILL_{room}_URL must be a server's URL"):
        read()
    monkeypatch.setenv(f"REVIEWMILL_{room}_URL", VALUES[f"REVIEWMILL_{room}_URL"])
    with pytest.raises((DatabaseError, StackError), match="has a password too") as raised:
        read()
    assert "planted" not in str(raised.value)


def _missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def _not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_missing, "cannot be read (no such file or directory)"),
        (lambda path: path.mkdir(), "cannot be read (is a directory)"),
        (lambda path: path.write_text(" \n"), "the file is empty"),
        (_not_text, "the file is not utf-8 text"),
    ],
)
@pytest.mark.parametrize("name", ["REVIEWMILL_DATABASE_URL", "REVIEWMILL_REDIS_PASSWORD"])
def test_a_file_that_cannot_be_read_is_named_in_one_line(
    name: str, spoil: Callable[[Path], object], said: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spoilt"
    spoil(path)
    monkeypatch.setenv(f"{name}_FILE", str(path))
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://redis:6379/0")
    result = run("jobs", "list") if "DATABASE" in name else run("worker")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"the setting {name}_FILE is" in result.stderr
    assert str(path) in result.stderr
    assert said in result.stderr


def test_a_client_that_is_told_its_urls_asks_no_file(
    secret: Callable[[str], str], sqlite_url: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "DATABASE_PASSWORD", "REDIS_URL", "REDIS_PASSWORD"):
        monkeypatch.setenv(f"REVIEWMILL_{name}_FILE", secret("postgresql://nobody@nowhere.invalid/reviews"))
    with Client(database_url=sqlite_url, redis_url=f"redis+socket://{server.socket}") as client:
        assert client.score_texts([], model=str(BERT)) == []


def test_the_embedded_stack_works_for_a_database_whose_url_a_file_holds(
    run: Run, secret: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner and its workers are other processes, and are told where the database is."""
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL_FILE", secret(f"sqlite:///{tmp_path / 'elsewhere.db'}"))
    monkeypatch.setenv("REVIEWMILL_ENGINE", "null")
    (tmp_path / "reviews.csv").write_text("body\nfine\n")
    result = run("score", "reviews.csv", "--text", "body", "--model", BERT)
    assert result.returncode == 0, result
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "home" / "reviewmill.db").exists()
