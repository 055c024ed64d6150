"""Kills and pauses of the workers' processes, at random, by a seed."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.soak.acts import Act
from tests.soak.mill import Mill

_KILL_EVERY_S = (15.0, 60.0)
_PAUSE_EVERY_S = (10.0, 40.0)
#: Within a lease, and past it.
_PAUSES_S = (2.0, 25.0)
KILL = "kill -9"


@dataclass(slots=True)
class Trouble:
    """What befalls the workers. `spares_first` says whether kills leave the first one alone, so that it grows old."""

    mill: Mill
    random: random.Random
    spares_first: Callable[[], bool]
    done: Counter[str] = field(default_factory=Counter)

    def kills(self) -> Act:
        """kill -9 of a worker's process, which its supervisor then replaces."""
        while True:
            yield self.random.uniform(*_KILL_EVERY_S)
            worker = 1 if self.spares_first() else self.random.randrange(2)
            self._signal(worker, signal.SIGKILL, KILL)

    def pauses(self) -> Act:
        """SIGSTOP of one, and SIGCONT seconds later."""
        while True:
            yield self.random.uniform(*_PAUSE_EVERY_S)
            pause_s = self.random.choice(_PAUSES_S)
            pid = self._signal(self.random.randrange(2), signal.SIGSTOP, f"pause of {pause_s:.0f} s")
            yield pause_s
            self._go_on(pid)

    def end(self) -> None:
        """Let whoever is paused go on."""
        for pid in self._all():
            self._go_on(pid)

    def _go_on(self, pid: int) -> None:
        # Killed meanwhile, perhaps.
        if pid in self._all():
            os.kill(pid, signal.SIGCONT)

    def _all(self) -> list[int]:
        return [pid for worker in range(len(self.mill.workers)) for pid in self.mill.device_processes(worker)]

    def _signal(self, worker: int, number: signal.Signals, name: str) -> int:
        for pid in self.mill.device_processes(worker):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                self.done[name] += 1
                return pid
        return 0
