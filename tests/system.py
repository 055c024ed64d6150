"""The real system: commands in processes of their own, and a look at what they leave behind.

Fixtures here are taken in by the conftest of each folder that runs the whole system.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest


class Started(subprocess.Popen[str]):
    """A command under way. What it prints goes to a file: a pipe that nobody reads would stop it in the end."""

    log: Path

    def said(self) -> str:
        """What it has printed so far, on both outputs."""
        return self.log.read_text()


Start = Callable[..., Started]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """REVIEWMILL_HOME of every command of this test."""
    return Path(os.environ["REVIEWMILL_HOME"])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `reviewmill ARGUMENTS`, or another module, and go on; killed at the end of the test if it still runs.

    `under` is a command that starts it in its turn, as `nice` would.
    """
    started: list[Started] = []

    def launch(*arguments: object, module: str = "cli.main", under: Sequence[str] = (), **environment: str) -> Started:
        command = [*under, sys.executable, "-m", module, *map(str, arguments)]
        log = tmp_path / f"started-{len(started)}.log"
        with log.open("w") as output:
            process = Started(
                command,
                cwd=tmp_path,
                text=True,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
                start_new_session=True,
                # Tests that a shell runs in its background would hand down a Ctrl-C that is ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        process.log = log
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        # Shown where the test failed: a wait that ended in vain tells nothing by itself.
        print(f"{process.args} said:\n{process.said()}")  # noqa: T201


def wait_until(true: Callable[[], object], timeout_s: float = 90.0) -> None:
    """Look until it is so; fail after the time."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def processes_of(home: Path) -> dict[int, str]:
    """Command lines, by process id, of everything that runs for this home."""
    mark = f"REVIEWMILL_HOME={home}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            # The tests' PostgreSQL may have been started while this home was set; it serves all of them.
            if mark in (folder / "environ").read_bytes().split(b"\0") and "postgres" not in line:
                found[int(folder.name)] = line
        except OSError:
            continue
    return found


def is_stopped(pid: int) -> bool:
    """Whether a process stands still, as by SIGSTOP."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def nothing_runs(home: Path) -> bool:
    """Whether no process of this home is left."""
    return not processes_of(home)


@pytest.fixture(autouse=True)
def leave_nothing(home: Path) -> Iterator[None]:
    yield
    try:
        wait_until(lambda: nothing_runs(home), 40)
    finally:
        for pid in processes_of(home):
            os.kill(pid, signal.SIGKILL)
