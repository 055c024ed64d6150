"""Secrets are planted wherever a team has them, everything is done and goes wrong, and all that is left is searched.

A new command is a line in COMMANDS or MISTAKES. `{sql}` and the like are filled in from the fixture `places`.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

import pytest
import redis
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.engine import make_url

from broker.redis_server import find_redis_server
from db.database import Database
from db.schema import upgrade
from db.tables import Base, Notification
from tests.samples import CHECKPOINTS
from tests.system import Start, Started, processes_of, wait_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
#: One of each kind. None may be found anywhere, nor what becomes of it in a URL or in base64.
SECRETS = {
    name: f"{name}-{sha256(name.encode()).hexdigest()[:12]}@s3cr3t"
    for name in (
        ["database", "redis", "signing", "shop", "other", "hook", "token", "aws-id", "aws-key", "hub", "review"]
    )
}
#: Done one after the other with a worker and a beat running; each is to end well.
COMMANDS = [
    ["score", "{sql}", "--text", "body", "--id", "id", "--keep", "id", "--model", "{bert}", "--notify", "{hook}"],
    ["score", "sql:${{SHOP}}?table=texts", "--text", "body", "--model", "bert", "--notify", "${{HOOK}}", "--json"],
    ["estimate", "{sql}", "--text", "body", "--model", "bert", "--json"],
    ["finetune", "{sql}", "{tuning}", "--validation", "{asked}", "--test-split", "0", "--no-wait"],
    ["jobs", "cancel", "3"],
    ["schedule", "add", "nightly", "--cron", "* * * * *", "--", "score", "sql:${{SHOP}}?table=texts", "{scheduled}"],
    # Another than the one that the beat runs, with which a run by hand might collide.
    ["schedule", "add", "yearly", "--cron", "0 2 1 1 *", "--", "score", "sql:${{SHOP}}?table=texts", "{scheduled}"],
    ["schedule", "run", "yearly"],
    ["schedule", "list", "--json"],
    ["schedule", "show", "nightly"],
    ["jobs", "list", "--json"],
    ["jobs", "show", "1", "--json"],
    ["jobs", "show", "1"],
    ["jobs", "show", "3", "--json"],
    ["models", "list", "--json"],
    ["report", "--job", "1", "-o", "{home}/report.html"],
]
#: Likewise, where there is time for a training.
LONG_COMMANDS = [
    ["finetune", "{sql}", "{tuning}", "--validation", "{asked}", "--test-split", "0"],
    ["models", "show", "tuned", "--json"],
    ["models", "show", "tuned", "--report", "{home}/tuned.html"],
]
#: Looks that may find something wrong, and then end with 1.
LOOKS = [["doctor"], ["doctor", "--json"], ["workers"], ["workers", "--json"]]
#: Done likewise, with settings of their own; each is to end with a line that says why.
MISTAKES: list[tuple[list[str], dict[str, str]]] = [
    (["score", "{locked}", "--text", "body", "--model", "bert"], {}),
    (["score", "{unreachable}", "--text", "body", "--model", "bert"], {}),
    (["score", "sql:postgresql:/me:{other}@host?table=texts", "--text", "body", "--model", "bert"], {}),
    (["score", "SQL:postgresql://me:{other}@host/shop?table=texts", "--text", "body", "--model", "bert"], {}),
    (["score", "postgresql://me:{other}@host/shop?table=texts", "--text", "body", "--model", "bert"], {}),
    (["score", "https://me:{other}@127.0.0.1:9/a.csv?token={token}", "--text", "body", "--model", "bert"], {}),
    (["score", "s3://bucket/a.csv", "--text", "body", "--model", "bert"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
    (["score", "hf:nobody/nothing", "--text", "body", "--model", "bert"], {"HF_ENDPOINT": "http://127.0.0.1:9"}),
    (["score", "{sql}", "--text", "body", "--model", "nobody/nothing"], {"HF_ENDPOINT": "http://127.0.0.1:9"}),
    (["score", "sql:${{NOWHERE}}?table=texts", "--text", "body", "--model", "bert"], {}),
    (["score", "{sql}", "--text", "body", "--model", "bert", "--notify", "ftp://me:{other}@host/?{token}"], {}),
    (["schedule", "add", "leaky", "--cron", "0 2 * * *", "--", "score", "{sql}", "{scheduled}"], {}),
    (["schedule", "add", "leaky", "--cron", "0 2 * * *", "--", "score", "a.csv", "--notify", "{hook}"], {}),
    (["jobs", "list"], {"REVIEWMILL_DATABASE_URL": "{own_locked}"}),
    (["jobs", "list"], {"REVIEWMILL_DATABASE_URL": "postgresql://me:{database}@127.0.0.1:9/mill?sslpassword={token}"}),
    (["jobs", "list"], {"REVIEWMILL_DATABASE_URL": "postgresql://me:{database}@host:port/mill"}),
    (["jobs", "list"], {"REVIEWMILL_DATABASE_URL": "mysql://me:{database}@host/mill"}),
    (["worker"], {"REVIEWMILL_REDIS_URL": "redis://:{redis}@127.0.0.1:9/0"}),
    (["worker"], {"REVIEWMILL_REDIS_URL": "redis://:wrong-{redis}@127.0.0.1:{redis_port}/0"}),
    (["worker"], {"REVIEWMILL_REDIS_URL": "redis://:/{redis}@127.0.0.1:9/0"}),
    (["worker"], {"REVIEWMILL_REDIS_URL": "amqp://me:{redis}@127.0.0.1:9/0"}),
    (["beat"], {"REVIEWMILL_REDIS_URL": "redis://:{redis}@127.0.0.1:9/0"}),
]


@pytest.fixture
def locked_redis(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis that asks for a password."""
    password = SECRETS["redis"]
    server = subprocess.Popen([find_redis_server(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    port = _free_port()
    assert server.stdin is not None
    server.stdin.write(f'port {port}\nbind 127.0.0.1\nrequirepass "{password}"\nsave ""\nmaxmemory-policy noeviction\n')
    server.stdin.close()
    client = redis.Redis(port=port, password=password)
    wait_until(lambda: _answers(client), 20)
    yield port
    server.terminate()
    server.wait()


@pytest.fixture
def shop(postgresql_server: str) -> str:
    """URL of a database with a table of texts, whose role `locked` is let in with a password only."""
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        hba = Path(str(connection.scalar(text("SHOW hba_file"))))
        if "locked" not in hba.read_text():
            hba.write_text("local all locked scram-sha-256\n" + hba.read_text())
            connection.execute(text("CREATE ROLE locked LOGIN PASSWORD 'another'"))
            connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("DROP DATABASE IF EXISTS shop"))
        connection.execute(text("CREATE DATABASE shop"))
    engine.dispose()
    engine = create_engine(make_url(postgresql_server).set(database="shop"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE texts (id int, body text, label text)"))
        for number in range(8):
            values = {"id": number, "body": f"{SECRETS['review']} {number}", "label": "ab"[number % 2]}
            connection.execute(text("INSERT INTO texts VALUES (:id, :body, :label)"), values)
    engine.dispose()
    return str(postgresql_server)


@pytest.fixture
def places(
    shop: str, database_url: str, locked_redis: int, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What the commands name, with the secrets in them; they are in the environment, as a team has them."""
    home.mkdir(parents=True, exist_ok=True)
    model = tmp_path / "bert"
    shutil.copytree(BERT, model)
    encoded = {name: quote(secret, safe="") for name, secret in SECRETS.items()}
    server = make_url(shop)
    source = server.set(password=SECRETS["shop"], database="shop").render_as_string(hide_password=False)
    own = make_url(database_url)
    if own.get_backend_name() == "postgresql":
        own = own.set(password=SECRETS["database"])
    hook = f"https://me:{encoded['hook']}@127.0.0.1:9/done?token={encoded['token']}"
    for name, value in {
        "REVIEWMILL_DATABASE_URL": own.render_as_string(hide_password=False),
        "REVIEWMILL_REDIS_URL": f"redis://:{encoded['redis']}@127.0.0.1:{locked_redis}/0",
        "REVIEWMILL_NOTIFY_SECRET": SECRETS["signing"],
        "REVIEWMILL_SWEEP_S": "0.5",
        "AWS_ACCESS_KEY_ID": SECRETS["aws-id"],
        "AWS_SECRET_ACCESS_KEY": SECRETS["aws-key"],
        "HF_TOKEN": SECRETS["hub"],
        "SHOP": source,
        "HOOK": hook,
    }.items():
        monkeypatch.setenv(name, value)
    locked = server.set(username="locked", password=SECRETS["other"], database="shop")
    return {
        **encoded,
        "sql": f"sql:{_with(source, 'table=texts')}",
        "asked": f"sql:{_with(source, 'query=SELECT body || 3 AS body, label FROM texts')}",
        "locked": f"sql:{_with(locked.render_as_string(hide_password=False), 'table=texts')}",
        "own_locked": locked.render_as_string(hide_password=False),
        "unreachable": f"sql:postgresql://me:{encoded['other']}@127.0.0.1:9/shop?sslpassword={encoded['token']}&table=t",
        "bert": str(model),
        "hook": hook,
        "home": str(home),
        "redis_port": str(locked_redis),
    }


#: What stands for several arguments.
_SEVERAL = {
    "{tuning}": ["--text", "body", "--label", "label", "--name", "tuned", "--base", str(BERT), "--max-length", "16"],
    "{scheduled}": ["--text", "body", "--model", "bert"],
}


class Watched:
    """Command lines and titles of all that runs for this home, but for the commands that a test types itself."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._over = threading.Event()
        self.seen: set[str] = set()

    def __enter__(self) -> "Watched":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            lines = processes_of(self._home).values()
            self.seen |= {line for line in lines if "cli.main" not in line or " worker" in line or " beat" in line}
            time.sleep(0.05)


@pytest.mark.parametrize("database_url", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"], indirect=True)
def test_no_secret_is_left_anywhere(
    run: Run, start: Start, places: dict[str, str], home: Path, locked_redis: int, tmp_path: Path
) -> None:
    database = Database(os.environ["REVIEWMILL_DATABASE_URL"])
    upgrade(database)
    said: list[str] = []
    with Watched(home) as watched:
        running = [start("worker", "--devices", "cpu"), start("beat")]
        for command in COMMANDS + (LONG_COMMANDS if database.is_sqlite else []):
            result = run(*_filled(command, places))
            assert result.returncode == 0, result
            said += [result.stdout, result.stderr]
        for command in LOOKS:
            result = run(*command)
            assert result.returncode in (0, 1), result
            said += [result.stdout, result.stderr]
        for command, settings in MISTAKES:
            result = _run(_filled(command, places), settings, places, tmp_path)
            assert result.returncode == 2, result
            assert "Traceback" not in result.stderr
            assert result.stderr.strip()
            said += [result.stdout, result.stderr]
        wait_until(lambda: any("cli.scheduled" in line for line in watched.seen), 90)
        _break(database, Path(places["bert"]))
        said += [run("score", places["sql"], "--text", "body", "--model", "bert", "--json").stderr]
        wait_until(lambda: "Traceback" in _logs(running), 60)
        assert _runs(database), "the beat has read no run"
        found = {
            "what commands print": "\n".join(said).replace(SECRETS["review"], "the results of the command itself"),
            "what workers and beats log": _logs(running),
            "files of the home": _files(home),
            "the database": _dump(database),
            "Redis": _redis_dump(locked_redis),
            "command lines": "\n".join(watched.seen),
        }
        for process in running:
            process.terminate()
            process.wait(60)
        found["what they log at the end"] = _logs(running)
    database.close()
    assert "worker.process" in found["command lines"]
    assert "cli.scheduled" in found["command lines"]
    assert '"sql:' in found["the database"]
    assert {where: leaks for where, content in found.items() if (leaks := _secrets_in(content))} == {}


def test_the_search_would_find_them(tmp_path: Path) -> None:
    for name, secret in SECRETS.items():
        for shown in (secret, quote(secret, safe=""), base64.b64encode(f"me:{secret}".encode()).decode()):
            assert _secrets_in(f"... {shown}...") == [name]
    (tmp_path / "file").write_bytes(b"\xff\0" + SECRETS["hub"].encode())
    assert _secrets_in(_files(tmp_path)) == ["hub"]


def _secrets_in(content: str) -> list[str]:
    def shapes(secret: str) -> list[str]:
        # In base64 what stands before shifts it by one or two thirds of a character.
        shifted = [base64.b64encode(b"_" * shift + secret.encode()).decode()[4:-4] for shift in range(3)]
        return [secret, quote(secret, safe=""), *shifted]

    return [name for name, secret in SECRETS.items() if any(shape in content for shape in shapes(secret))]


def _filled(command: list[str], places: dict[str, str]) -> list[str]:
    flat = [part for one in command for part in _SEVERAL.get(one, [one])]
    return [part.format(**places) for part in flat]


def _run(command: list[str], settings: dict[str, str], places: dict[str, str], folder: Path) -> CompletedProcess[str]:
    told = {name: value.format(**places) for name, value in settings.items()}
    line = [sys.executable, "-m", "cli.main", *command]
    return subprocess.run(
        line, capture_output=True, text=True, cwd=folder, timeout=300, check=False, env={**os.environ, **told}
    )


def _with(url: str, parameter: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{parameter}"


def _break(database: Database, model: Path) -> None:
    """Make the worker stumble at the next job: it has to ask its model again, whose files are gone."""
    shutil.rmtree(model)
    with database.write() as connection:
        connection.execute(text("DELETE FROM predictions"))


def _runs(database: Database) -> int:
    with database.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM schedule_runs WHERE job_id IS NOT NULL")) or 0)


def _logs(running: list[Started]) -> str:
    return "\n".join(process.said() for process in running)


def _files(folder: Path) -> str:
    """Every file, but for the database itself, which holds the reviews, and is searched by its tables."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("reviewmill.db")]
    pages = [path for path in files if path.suffix == ".html"]
    contents = [path.read_bytes().decode(errors="replace") for path in files if path not in pages]
    # Pages show reviews; that is what they are for.
    return "\n".join(contents + [path.read_text().replace(SECRETS["review"], "a review") for path in pages])


def _dump(database: Database) -> str:
    """Every row of every table, but for the texts of reviews, and the URLs that are still to be posted to."""
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
        return "\n".join(_rows(connection, name) for name in Base.metadata.tables)


def _rows(connection: Connection, name: str) -> str:
    table = Base.metadata.tables[name]
    kept_elsewhere = {"reviews": {"text", "text_pair"}, Notification.__tablename__: {"url"}}
    columns = [column for column in table.columns if column.name not in kept_elsewhere.get(name, ())]
    return "\n".join(json.dumps([*map(str, row)]) for row in connection.execute(select(*columns)))


def _redis_dump(port: int) -> str:
    client = redis.Redis(port=port, password=SECRETS["redis"])
    found = [key + (client.dump(key) or b"") for key in client.scan_iter()]
    found += [repr(client.client_list()).encode()]
    return b"\n".join(found).decode(errors="replace")


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
