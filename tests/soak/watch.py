"""What is looked at every few seconds: memory of every process, Redis, and the database's connections."""

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from tests.soak.acts import Act
from tests.soak.mill import Mill
from tests.soak.series import Series

_EVERY_S = 2.0
_CONNECTIONS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database()"
)


@dataclass(slots=True)
class Watch:
    """Series by name. A process that replaces another has a series of its own."""

    mill: Mill
    memory: dict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    pss: dict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    redis: dict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    connections: Series = field(default_factory=Series)
    _began: float = field(default_factory=time.monotonic)

    def look(self) -> Act:
        """Look every few seconds."""
        while True:
            self.look_once()
            yield _EVERY_S

    def look_once(self) -> None:
        """One value for each series."""
        now = time.monotonic() - self._began
        for name, pid in self._processes():
            if (memory := memory_of(pid)) is not None:
                self.memory[name].add(now, memory.own)
                self.pss[name].add(now, memory.pss)
        facts = self.mill.redis.info()
        self.redis["keys"].add(now, self.mill.redis.dbsize())
        self.redis["MiB"].add(now, facts["used_memory"] / 2**20)
        self.redis["clients"].add(now, facts["connected_clients"])
        with self.mill.database.read() as connection:
            self.connections.add(now, connection.scalar(_CONNECTIONS))

    def _processes(self) -> list[tuple[str, int]]:
        commands = [("producer", os.getpid()), ("beat", self.mill.beat.pid)]
        for number, worker in enumerate(self.mill.workers):
            commands.append((f"supervisor {number + 1}", worker.pid))
            commands += [(f"worker {number + 1}, pid {pid}", pid) for pid in self.mill.device_processes(number)]
        return commands


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MiB: what it shares with others counted by its part (PSS), and what of it is its own.

    The rest of PSS are files that are mapped, libraries above all. They are counted by how many others map them at the
    moment: when another worker is killed, this one seems to grow. So what is judged is what is its own.
    """

    pss: float
    own: float


def memory_of(pid: int) -> Memory | None:
    """Memory of a process; None where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
    return Memory(kib["Pss"] / 1024, (kib["Pss_Anon"] + kib["Pss_Shmem"]) / 1024) if kib else None
