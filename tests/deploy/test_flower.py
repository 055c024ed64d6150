"""Flower, with the files that its image has, shows how long the queues are, to whoever knows its password."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.app import make_app
from broker.child import start_child
from broker.doorbell import ring
from db.rings import Ring
from tests.deploy.conftest import ROOT
from tests.deploy.containers import free_port
from tests.redis_servers import redis_on_a_port, wheel_server
from tests.system import wait_until

Services = dict[str, dict[str, Any]]


@pytest.fixture
def redis_port(secrets: Path, tmp_path: Path) -> Iterator[int]:
    with redis_on_a_port(wheel_server(), tmp_path, aclfile=secrets / "redis_users.acl") as port:
        yield port


def _ask(port: int, path: str, password: str = "") -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"flower:{password}".encode()).decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: bytes = answer.read()
        return found


def _answers(port: int) -> bool:
    try:
        return b"OK" in _ask(port, "healthcheck")
    except OSError:
        return False


@pytest.fixture
def flower(services: Services, secrets: Path, redis_port: int, tmp_path: Path) -> Iterator[int]:
    """The service `flower`: its image's command, with the file's settings, on a port of the test's own."""
    asked = {
        name: value.replace("/run/secrets", str(secrets)) for name, value in services["flower"]["environment"].items()
    }
    asked |= {"REDIS_ADDRESS": asked["REDIS_ADDRESS"].replace("redis:6379", f"127.0.0.1:{redis_port}")}
    port, files = free_port(), ROOT / "deploy" / "flower"
    program = [str(Path(sys.executable).parent / "celery"), "--config=celeryconfig", "flower"]
    command = [*program, f"--conf={files / 'flowerconfig.py'}", f"--port={port}", "--address=127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": str(files), **asked}
    running = start_child(command, tmp_path / "flower.log", environment)
    wait_until(lambda: _answers(port), 60)
    yield port
    running.terminate()
    running.wait(20)
    log = (tmp_path / "flower.log").read_text()
    assert (secrets / "redis_flower_password").read_text() not in log
    assert "Failed to capture" not in log
    print(log)  # noqa: T201


def test_flower_counts_what_waits_in_every_priority_and_lets_nobody_else_in(
    flower: int, redis_port: int, secrets: Path
) -> None:
    password = (secrets / "redis_producer_password").read_text()
    app = make_app(f"redis://producer:{password}@127.0.0.1:{redis_port}/0")
    rings = [
        Ring(1, "score", "high"),
        Ring(2, "score", "normal"),
        Ring(3, "score", "low"),
        Ring(4, "finetune", "normal"),
    ]
    assert ring(app, rings) == 4
    told = json.loads(_ask(flower, "api/queues/length", (secrets / "flower_password").read_text()))
    assert {one["name"]: one["messages"] for one in told["active_queues"]} == {"score": 3, "train": 1}
    for guess in ("", "guessed"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            _ask(flower, "broker", guess)
        assert refused.value.code == 401
