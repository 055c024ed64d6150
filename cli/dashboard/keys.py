"""Single keys from the terminal, which is left as it was found, however that comes about."""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import Protocol


class Keys(Protocol):
    """Waits for a key."""

    def wait(self, seconds: float) -> str:
        """The keys that were pressed by then, or at once when one is; empty where none was."""
        ...


class _Terminal:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def wait(self, seconds: float) -> str:
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        return os.read(self._descriptor, 64).decode(errors="replace") if ready else ""


class _Nobody:
    """Where standard input is no terminal."""

    def wait(self, seconds: float) -> str:
        time.sleep(seconds)
        return ""


@contextlib.contextmanager
def single_keys() -> Iterator[Keys]:
    """Keys as they are pressed, unseen and without Enter; Ctrl-C stays what it is."""
    if not sys.stdin.isatty():
        yield _Nobody()
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _Terminal(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
