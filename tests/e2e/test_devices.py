"""Worker processes on devices of their own: GPUs that NVML makes up, and real cores."""

import fcntl
import json
import os
import signal
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from broker.redis_server import RedisServer
from tests.gpus import FIRST, SECOND, with_gpus
from tests.samples import CHECKPOINTS
from tests.system import Start, Started, processes_of
from tests.system import wait_until as look_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
HOST = socket.gethostname()
#: Where the database has nothing to do with it.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _team(server: RedisServer, database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a team, on each kind of database in turn."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "200")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert run("db", "upgrade").returncode == 0


@pytest.fixture
def _cores_to_itself() -> Iterator[None]:
    """No other test that runs beside this one pins workers to this machine's cores: it would be refused them."""
    with (Path(tempfile.gettempdir()) / "reviewmill-tests-pin-cores.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("body\n" + "".join(f"wonderful or terrible number {number}\n" for number in range(4_000)))
    return path


def wait_until(true: Callable[[], object]) -> None:
    """Look until it is so, patiently: the commands that look take seconds where others are at work."""
    look_until(true, 240)


def listed(run: Run) -> list[dict[str, Any]]:
    return json.loads(run("workers", "--json").stdout)


def by_device(run: Run, count: int) -> dict[str, dict[str, Any]]:
    """Workers by device, once there are so many."""
    found: dict[str, dict[str, Any]] = {}

    def all_there() -> bool:
        found.update({worker["device"]: worker for worker in listed(run)})
        return len(found) == count

    wait_until(all_there)
    return found


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def cores_of(pid: int) -> set[str]:
    """The cores, as the kernel writes them, that threads of a process may use: one entry where all have the same."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    lines = [line for thread in threads for line in (thread / "status").read_text().splitlines()]
    return {line.split()[1] for line in lines if line.startswith("Cpus_allowed_list:")}


def is_suspended(pid: int) -> bool:
    """Whether all threads of the process have stopped."""
    return all("State:\tT" in (thread / "status").read_text() for thread in Path(f"/proc/{pid}/task").iterdir())


def socket_of(uuid: str) -> str:
    """The socket by which a GPU is held, as a file descriptor of it is called."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    (inode,) = [line[-2] for line in lines if line[-1] == f"@reviewmill-device-{uuid}"]
    return f"socket:[{inode}]"


def is_held(uuid: str) -> bool:
    """Whether any process has the GPU."""
    return f"@reviewmill-device-{uuid}\n" in Path("/proc/net/unix").read_text()


def stop(worker: Started) -> None:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(120) == 0
    assert "Traceback" not in worker.said()


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two GPUs, in all processes from now on. What computes on them must be an engine that needs none."""
    # As long as the machine is the same, another test may have the same GPUs at the same time.
    first, second = (uuid[:-6] + f"{os.getpid():06d}"[-6:] for uuid in (FIRST, SECOND))
    for name, value in with_gpus(first, second, REVIEWMILL_ENGINE="null").items():
        monkeypatch.setenv(name, value)
    return first, second


def test_a_process_a_gpu_and_a_dead_one_is_replaced_on_its_own(
    run: Run, start: Start, reviews: Path, gpus: tuple[str, str]
) -> None:
    worker = start("worker")
    before = by_device(run, 2)
    assert set(before) == {f"gpu0@{HOST}", f"gpu1@{HOST}"}
    seen = [environment_of(before[f"gpu{number}@{HOST}"]["pid"]) for number in (0, 1)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == [*gpus]
    assert {one["CUDA_DEVICE_ORDER"] for one in seen} == {"PCI_BUS_ID"}
    dead, other = (before[f"gpu{number}@{HOST}"] for number in (1, 0))
    os.kill(dead["pid"], signal.SIGKILL)
    wait_until(lambda: any(one["device"] == dead["device"] and one["pid"] != dead["pid"] for one in listed(run)))
    after = {one["device"]: one for one in listed(run)}
    # The dead one is off the list, and the other went on as if nothing had happened.
    assert len(listed(run)) == 2
    assert (after[other["device"]]["pid"], after[other["device"]]["started_at"]) == (other["pid"], other["started_at"])
    assert environment_of(after[dead["device"]]["pid"])["CUDA_VISIBLE_DEVICES"] == gpus[1]
    done = json.loads(run("score", reviews, "--text", "body", "--model", BERT, "--json").stdout)
    assert (done["state"], done["scored"]) == ("done", 4_000)
    stop(worker)
    assert listed(run) == []


@ON_SQLITE
def test_another_worker_cannot_have_a_gpu_that_works(run: Run, start: Start, gpus: tuple[str, str]) -> None:
    worker = start("worker", "--devices", "1")
    by_device(run, 1)
    for wanted in ("1", gpus[1]):
        refused = run("worker", "--devices", wanted)
        assert refused.returncode == 2
        assert "gpu1 is at work for another worker of this machine" in refused.stderr.splitlines()[-1]
        assert "Traceback" not in refused.stderr
    # The process itself holds it too: should its supervisor be killed, it is free when both are gone.
    (pid,) = [one["pid"] for one in listed(run)]
    assert socket_of(gpus[1]) in {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    worker.kill()
    wait_until(lambda: not is_held(gpus[1]))
    another = start("worker", "--devices", "1")
    wait_until(lambda: any(one["pid"] != pid for one in listed(run)))
    stop(another)


@ON_SQLITE
def test_a_process_that_was_suspended_ends_with_its_supervisor(
    run: Run, start: Start, home: Path, gpus: tuple[str, str]
) -> None:
    worker = start("worker", "--devices", "0")
    (one,) = by_device(run, 1).values()
    os.kill(one["pid"], signal.SIGSTOP)
    wait_until(lambda: is_suspended(one["pid"]))
    # The kernel then hangs up on it and lets it go on; a worker of Celery would start itself anew.
    worker.kill()
    worker.wait()
    wait_until(lambda: not processes_of(home))
    assert listed(run) == []


@ON_SQLITE
def test_queues_are_split_over_devices(
    run: Run, start: Start, reviews: Path, gpus: tuple[str, str], tmp_path: Path
) -> None:
    run("score", reviews, "--text", "body", "--model", BERT, "--no-wait")
    worker = start("worker", "--devices", "0:train,1:score")
    done = json.loads(run("jobs", "watch", 1, "--json").stdout)
    assert (done["state"], done["scored"]) == ("done", 4_000)
    found = by_device(run, 2)
    assert found[f"gpu0@{HOST}"]["queues"] == ["train"]
    assert found[f"gpu1@{HOST}"]["queues"] == ["score"]
    wait_until(lambda: by_device(run, 2)[f"gpu1@{HOST}"]["models"])
    idle, busy = (by_device(run, 2)[f"gpu{number}@{HOST}"] for number in (0, 1))
    assert (idle["models"], idle["engine"]) == ([], "null")
    assert [one["model"] for one in busy["models"]] == ["bert@1"]
    with closing(sqlite3.connect(tmp_path / "reviewmill.db")) as database:
        assert database.execute("SELECT DISTINCT device FROM chunks").fetchall() == [(f"gpu1@{HOST}",)]
    stop(worker)


@ON_SQLITE
@pytest.mark.usefixtures("_cores_to_itself")
def test_processes_share_the_cores_and_no_core_is_shared(run: Run, start: Start, reviews: Path) -> None:
    assert len(os.sched_getaffinity(0)) >= 2
    worker = start("worker", "--devices", "cpu", "--processes", "2")
    before = by_device(run, 2)
    assert set(before) == {f"cpu0@{HOST}", f"cpu1@{HOST}"}
    done = json.loads(run("score", reviews, "--text", "body", "--model", BERT, "--json").stdout)
    assert (done["state"], done["scored"]) == ("done", 4_000)
    shares = {device: cores_of(one["pid"]) for device, one in before.items()}
    # Threads of the engine and of the tokenizer among them, each process's are on the same cores.
    assert {len(share) for share in shares.values()} == {1}
    cores = [_numbers(*share) for share in shares.values()]
    assert not cores[0] & cores[1]
    assert cores[0] | cores[1] == os.sched_getaffinity(0)
    threads = {environment_of(one["pid"])["RAYON_NUM_THREADS"] for one in before.values()}
    assert threads == {str(len(share)) for share in cores}
    # One that dies comes back on its own cores.
    name = f"cpu1@{HOST}"
    os.kill(before[name]["pid"], signal.SIGKILL)
    wait_until(lambda: any(one["device"] == name and one["pid"] != before[name]["pid"] for one in listed(run)))
    assert cores_of({one["device"]: one["pid"] for one in listed(run)}[name]) == shares[name]
    refused = run("worker", "--processes", "2")
    assert refused.returncode == 2
    assert "cpu0 is at work for another worker" in refused.stderr.splitlines()[-1]
    stop(worker)


@ON_SQLITE
@pytest.mark.usefixtures("_cores_to_itself")
def test_the_stack_of_one_machine_works_on_shares_too(
    run: Run, start: Start, reviews: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REVIEWMILL_REDIS_URL")
    monkeypatch.setenv("REVIEWMILL_PROCESSES", "2")
    stack = start("up")
    assert set(by_device(run, 2)) == {f"cpu0@{HOST}", f"cpu1@{HOST}"}
    done = json.loads(run("score", reviews, "--text", "body", "--model", BERT, "--json").stdout)
    assert (done["state"], done["scored"]) == ("done", 4_000)
    stack.send_signal(signal.SIGINT)
    stack.wait(120)
    wait_until(lambda: not processes_of(home))
    assert listed(run) == []


def _numbers(written: str) -> set[int]:
    ranges = (part.partition("-") for part in written.split(","))
    return {number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)}
