"""The embedded Redis: a real server that comes and goes as told."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from broker.child import start_child
from broker.errors import BrokerError, RedisMissing, RedisUnreachable
from broker.redis_server import RedisServer, check_redis, find_redis_server
from broker.settings import BrokerSettings


def test_it_is_a_real_server_that_keeps_nothing(server: RedisServer, client: redis.Redis) -> None:
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert client.config_get("appendonly")["appendonly"] == "no"
    assert client.config_get("save")["save"] == ""
    assert client.config_get("port")["port"] == "0"
    assert server.socket.stat().st_mode & 0o077 == 0


def test_it_stops_and_starts_again(server: RedisServer) -> None:
    server.stop()
    assert not server.answers()
    assert not server.is_running()
    server.start()
    assert server.answers()


def test_one_left_over_by_a_killed_stack_is_replaced(server: RedisServer, client: redis.Redis, tmp_path: Path) -> None:
    client.set("stale", "1")
    heir = RedisServer(server.socket, tmp_path / "heir.log")
    heir.start()
    try:
        assert heir.is_running()
        assert client.get("stale") is None
    finally:
        heir.stop()


def test_check_accepts_a_server_that_answers(server: RedisServer) -> None:
    check_redis(f"redis+socket://{server.socket}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:secret@127.0.0.1:9/0", "does not answer"),
        ("redis+socket:///nowhere/redis.sock", "does not answer"),
        ("amqp://somebody:secret@127.0.0.1", "write redis://"),
        ("http://somebody:secret@127.0.0.1", "write redis://"),
        ("127.0.0.1:6379", "write redis://"),
    ],
)
def test_check_says_in_one_line_what_is_wrong(url: str, said: str) -> None:
    with pytest.raises(RedisUnreachable, match=said) as raised:
        check_redis(url)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_without_any_server_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_redis_server().exists()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("broker.redis_server.find_spec", lambda name: None)
    with pytest.raises(RedisMissing, match="REVIEWMILL_REDIS_URL"):
        find_redis_server()


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    blocked = tmp_path / "a folder"
    blocked.mkdir()
    server = RedisServer(blocked / ("x" * 120), tmp_path / "redis.log")
    with pytest.raises(BrokerError, match="did not start"):
        server.start()


def test_a_long_home_gets_a_short_socket(tmp_path: Path) -> None:
    near = BrokerSettings(home=Path("/h"))
    assert near.socket == Path("/h/run/redis.sock")
    far = BrokerSettings(home=tmp_path / ("deep" * 40))
    assert len(os.fsencode(far.socket)) <= 100
    assert far.socket != BrokerSettings(home=tmp_path / ("deep" * 41)).socket


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from broker.child import start_child\n"
        "child = start_child([sys.executable, '-c', 'import time; time.sleep(60)'], None)\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert _gone(child)


def test_a_childs_output_goes_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    start_child([sys.executable, "-c", "import os; print(os.environ['WHO'])"], log, {"WHO": "me"}).wait()
    assert log.read_text() == "me\n"


def _gone(pid: int) -> bool:
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret/s3cret@127.0.0.1:9/0",
        "redis://:/s3cret@127.0.0.1:9/0",
        "redis://:s3#cret@127.0.0.1:9/0",
        "redis://:s3cret@127.0.0.1:port/0",
        "redis://127.0.0.1:9/s3cret",
        "redis://127.0.0.1:9/0?password=s3cret",
        "redis://[s3cret:9/0",
    ],
)
def test_a_url_that_is_none_is_said_without_what_is_in_it(url: str) -> None:
    with pytest.raises(RedisUnreachable, match="is not a Redis URL; write redis://HOST:6379/0, or") as caught:
        check_redis(url)
    assert "s3" not in str(caught.value)
