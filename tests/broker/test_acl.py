"""The users that are shipped for Redis: what each may do, and that it may do nothing else, asked of real servers."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu import Message

from broker import app as broker_app
from broker.app import PRIORITIES, QUEUES, make_app
from broker.doorbell import is_dry, ring
from broker.errors import RedisUnreachable
from tests.broker.test_doorbell import Bell
from tests.redis_servers import SERVERS, client, redis_on_a_port

ACL_FILE = Path(broker_app.__file__).parent / "acl" / "users.acl"
PASSWORDS = {user: f"{user}'s pass/word & $HOME" for user in ("admin", "producer", "worker")}
#: What everybody may, for it is how one gets in and out.
_DOORS = {"auth", "hello", "quit", "reset"}
MAY = {"producer": {"ping", "select", "lpush", "llen"}}
MAY["worker"] = MAY["producer"] | {"brpop"}
#: Servers from 7.0 refuse these to everybody, which would hide what a user may.
_OPTIONS = {"the machine's": {"enable_debug_command": "yes", "enable_module_command": "yes"}}
#: Of servers that do not list them.
_SUBCOMMANDS = {
    "acl": "cat deluser dryrun genpass getuser help list load log save setuser users whoami",
    "client": "caching getname getredir help id info kill list no-evict pause reply setname tracking trackinginfo "
    "unblock unpause",
    "config": "get help resetstat rewrite set",
    "debug": "help jmap reload segfault sleep",
    "function": "delete dump flush help kill list load restore stats",
    "memory": "doctor help malloc-stats purge stats usage",
    "module": "help list load unload",
    "script": "debug exists flush help kill load",
    "xgroup": "create help",
    "xinfo": "stream help",
}


@dataclass(frozen=True)
class Doors:
    """A server with the shipped users."""

    port: int

    def as_(self, user: str, password: str | None = None) -> redis.Redis:
        return client(self.port, user, PASSWORDS[user] if password is None else password)

    def app(self, user: str) -> Celery:
        password = "".join(f"%{byte:02X}" for byte in PASSWORDS[user].encode())
        return make_app(f"redis://{user}:{password}@127.0.0.1:{self.port}/0")


def fill_in(folder: Path) -> Path:
    """The file as its own head says that it is filled in, by the shell."""
    lines = [line.removeprefix("#   ") for line in ACL_FILE.read_text().splitlines() if line.startswith("#   ")]
    path = folder / "users.acl"
    script = "\n".join(lines).replace(" users.acl", f" {ACL_FILE}").replace("/etc/redis/users.acl", str(path))
    secrets = {user.upper(): password for user, password in PASSWORDS.items()}
    subprocess.run(["sh", "-euc", script], check=True, env={**os.environ, **secrets})
    return path


@pytest.fixture(params=SERVERS)
def doors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Doors]:
    options = _OPTIONS.get(request.param, {})
    with redis_on_a_port(SERVERS[request.param](), tmp_path, aclfile=fill_in(tmp_path), **options) as port:
        yield Doors(port)


def test_passwords_are_in_the_file_by_their_hashes_only(tmp_path: Path) -> None:
    filled = fill_in(tmp_path).read_text()
    for password in PASSWORDS.values():
        assert password not in filled
        assert f" #{hashlib.sha256(password.encode()).hexdigest()} " in filled
    assert len(filled.splitlines()) == 4


def test_without_a_name_or_with_a_wrong_password_nobody_gets_in(doors: Doors) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis("127.0.0.1", doors.port).ping()
    with pytest.raises(redis.AuthenticationError):
        doors.as_("default", "").ping()
    with pytest.raises(redis.AuthenticationError):
        doors.as_("producer", "wrong").ping()


@pytest.mark.parametrize("user", MAY)
def test_of_all_commands_that_the_server_knows_it_may_those_and_no_other(doors: Doors, user: str) -> None:
    commands = _all_commands(doors.as_("admin"))
    assert len(commands) > 250
    assert {"flushall", "config|set", "keys", "eval", "shutdown", "client|kill"} <= set(commands)
    allowed = {name for name, arity in commands.items() if _lets_pass(doors, user, name, arity)}
    assert allowed - _DOORS == MAY[user]


@pytest.mark.parametrize("user", MAY)
def test_it_may_touch_the_lists_of_our_queues_and_no_other_key(doors: Doors, user: str) -> None:
    of_user = doors.as_(user)
    for name in (
        "other",
        "reviewmill:",
        "reviewmill:other",
        "reviewmill:scores",
        "score",
        "reviewmill:score\x06\x1612",
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            of_user.lpush(name, "x")
        with pytest.raises(redis.exceptions.NoPermissionError):
            of_user.llen(name)
    for queue in QUEUES.values():
        for number in PRIORITIES.values():
            key = f"reviewmill:{queue}" + (f"\x06\x16{number}" if number else "")
            assert of_user.lpush(key, "x") == of_user.llen(key) == 1


def test_the_producer_rings_and_the_worker_hears(doors: Doors) -> None:
    producer, worker = doors.app("producer"), doors.app("worker")
    for priority in PRIORITIES:
        for kind in QUEUES:
            assert ring(producer, [Bell(7, kind, priority)]) == 1
            assert not is_dry(producer, kind)
            assert not is_dry(worker, kind)
            assert _hear(worker, QUEUES[kind]) == [7]
            assert is_dry(worker, kind)
    assert doors.as_("admin").keys() == []


def test_a_user_that_may_not_is_told_so(doors: Doors, tmp_path: Path) -> None:
    doors.as_("admin").acl_setuser("producer", enabled=True, commands=["-lpush", "-llen"])
    producer = doors.app("producer")
    assert ring(producer, [Bell(7)]) == 0
    with pytest.raises(RedisUnreachable, match="no permissions"):
        is_dry(producer, "score")


def _hear(worker: Celery, name: str) -> object:
    """Take a message as a worker does, by its event loop's BRPOP, and return the arguments that it has."""
    heard = []

    def callback(body: list[object], message: Message) -> None:
        message.ack()
        heard.append(body[0])

    queue = next(one for one in worker.conf.task_queues if one.name == name)
    with worker.connection_for_read() as connection, connection.Consumer(queue, callbacks=[callback]):
        connection.drain_events(timeout=10)
    (arguments,) = heard
    return arguments


def _all_commands(admin: redis.Redis) -> dict[str, int]:
    """Every command and subcommand, with how many words it takes; -N for at least N."""
    known: dict[str, int] = {}
    for name, told in admin.command().items():
        listed = {one[0].decode(): one[1] for one in told.get("subcommands") or []}
        unlisted = {f"{name}|{subcommand}": -2 for subcommand in _SUBCOMMANDS.get(name, "").split()}
        known |= listed or unlisted or {name: told["arity"]}
    return known


def _lets_pass(doors: Doors, user: str, command: str, arity: int) -> bool:
    """Whether the server refuses the command for no want of a right, whatever else it says of it."""
    words = command.upper().split("|")
    words += ["reviewmill:score"] * (abs(arity) - len(words))
    with doors.as_(user) as connection:
        try:
            connection.execute_command(*words)
        except redis.RedisError as error:
            # Of EXEC, Redis 6.2 says so as of a transaction that it gives up.
            return "has no permissions to run" not in str(error)
    return True
