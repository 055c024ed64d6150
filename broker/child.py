"""Child processes that never outlive their parent."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

#: prctl(2): ask the kernel for a signal when the parent dies.
_PR_SET_PDEATHSIG = 1


def start_child(
    command: Sequence[str],
    log_file: Path | None,
    environment: Mapping[str, str] | None = None,
    *,
    own_group: bool = False,
    cores: Collection[int] = (),
    inherited: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process that gets SIGTERM when this one dies, however it dies (on Linux).

    With a log file its output is added there; without, it shares this process's. In a process group of its
    own it gets no Ctrl-C from the terminal, only what its parent makes of that. It is pinned to `cores`, if any, before
    it loads anything, and `inherited` are file descriptors that stay open in it.
    """
    group = 0 if own_group else None
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        # Runs between fork and exec, where only calls that take no lock are safe.
        if library is not None:
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)
        if cores:
            # Cores that were taken offline since are no reason not to work.
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, cores)

    env = {**os.environ, **(environment or {})}
    if log_file is None:
        return subprocess.Popen(  # noqa: S603
            command, env=env, preexec_fn=prepare, process_group=group, pass_fds=tuple(inherited)
        )
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            command,
            env=env,
            preexec_fn=prepare,
            process_group=group,
            pass_fds=tuple(inherited),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def run_child(command: Sequence[str], log_file: Path) -> tuple[int, str]:
    """Run such a process to its end; return its exit code and the last line that it said, on either output."""
    code = start_child(command, log_file).wait()
    said = [line for line in log_file.read_text(errors="replace").splitlines() if line.strip()]
    return code, said[-1] if said else f"it ended with {code} and said nothing"
