"""Hosts on one wire: network namespaces with an address and a host name each, joined by a bridge.

Needs root, `unshare` and `nsenter` of util-linux, and `ip` of iproute2. Nothing has a name on this machine that could
be left behind: each namespace lives as long as the process that holds it, and those end with the tests.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.child import start_child

_TOOLS = ("unshare", "nsenter", "setpriv", "hostname", "ip")
_PREFIX = "10.83.7"
_READY_S = 10


@dataclass(slots=True)
class Host:
    """One host. `number` is the end of its address, `home` the REVIEWMILL_HOME of what runs there."""

    name: str
    number: int
    home: Path
    holder: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return f"{_PREFIX}.{self.number}"

    @property
    def hardware_address(self) -> str:
        """The MAC address of its network card."""
        return f"02:00:00:00:00:{self.number:02x}"

    @property
    def inside(self) -> list[str]:
        """The command that starts another one on this host, as `nice` would."""
        return _inside(self.holder)

    @property
    def environment(self) -> dict[str, str]:
        """What a command finds there: a home, and graphs, that no other host sees."""
        return {"REVIEWMILL_HOME": str(self.home), "REVIEWMILL_ENGINES": str(self.home / "engines")}

    def processes(self) -> list[int]:
        """Process ids of all that run on the host, its holder among them."""
        namespace = _network_of(self.holder.pid)
        assert namespace, f"the host {self.name} is gone"
        return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _network_of(pid) == namespace]

    def kill_everything(self) -> None:
        """Kill all that runs there, and with it the host."""
        pids = self.processes()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.holder.wait()
        deadline = time.monotonic() + _READY_S
        while any(map(_network_of, pids)):
            assert time.monotonic() < deadline, "it cannot be killed"
            time.sleep(0.01)


class Network:
    """Hosts on one bridge, which has a namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self.hosts: list[Host] = []
        self._folder = folder
        self._bridge = _hold_namespaces("bridge")
        self._on_bridge("ip", "link", "add", "name", "wire", "type", "bridge")
        self._on_bridge("ip", "link", "set", "wire", "up")

    def add(self, name: str) -> Host:
        """One more host, reachable by all."""
        host = Host(name, len(self.hosts) + 1, self._folder / f"home-of-{name}", _hold_namespaces(name))
        self._connect(host)
        self.hosts.append(host)
        return host

    def cut(self, host: Host) -> None:
        """Let every packet from and to the host vanish: nobody is told, as with a cable pulled somewhere between.

        Its network card stays up, and neighbours are known for good: no error comes back to anybody.
        """
        self._on_bridge("ip", "link", "set", host.name, "nomaster")

    def heal(self, host: Host) -> None:
        """Let packets through again."""
        self._on_bridge("ip", "link", "set", host.name, "master", "wire")

    def replace(self, host: Host) -> None:
        """Take its power, and give it back: its processes and its connections are gone, and nobody was told."""
        self.cut(host)
        host.kill_everything()
        self._on_bridge("ip", "link", "delete", host.name, check=False)  # It goes by itself, a little later.
        host.holder = _hold_namespaces(host.name)
        self._connect(host)

    def close(self) -> None:
        """Take the network away."""
        for host in self.hosts:
            host.kill_everything()
        _end(self._bridge)

    def _connect(self, host: Host) -> None:
        card = ("name", "eth0", "address", host.hardware_address, "netns", str(host.holder.pid))
        self._on_bridge("ip", "link", "add", "name", host.name, "type", "veth", "peer", *card)
        _run(*host.inside, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        for card_name in ("lo", "eth0"):
            _run(*host.inside, "ip", "link", "set", card_name, "up")
        for other in self.hosts:
            if other is not host:
                _introduce(host, other)
                _introduce(other, host)
        self.heal(host)
        self._on_bridge("ip", "link", "set", host.name, "up")

    def _on_bridge(self, *command: str, check: bool = True) -> None:
        _run(*_inside(self._bridge), *command, check=check)


@contextmanager
def make_network(folder: Path) -> Iterator[Network]:
    """A network without hosts, taken away at the end. Fails the test where none can be made, or skips it outside CI."""
    _check_possible()
    network = Network(folder)
    try:
        yield network
    finally:
        network.close()


def _check_possible() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    reason = f"there is no {', '.join(missing)} (apt-get install iproute2 util-linux)" if missing else ""
    if not missing:
        tried = subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, text=True, check=False)
        reason = tried.stderr.strip() and f"network namespaces are not permitted here: {tried.stderr.strip()}"
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def _hold_namespaces(name: str) -> "subprocess.Popen[bytes]":
    """A process that does nothing in a network and a host name of its own, until it is killed."""
    holder = start_child(["unshare", "--net", "--uts", "sleep", "infinity"], None)
    deadline = time.monotonic() + _READY_S
    while os.readlink(f"/proc/{holder.pid}/ns/uts") == os.readlink("/proc/self/ns/uts"):
        assert time.monotonic() < deadline, "no namespaces were made"
        time.sleep(0.01)
    _run(*_inside(holder), "hostname", name)
    return holder


def _introduce(host: Host, other: Host) -> None:
    neighbour = (other.address, "lladdr", other.hardware_address, "dev", "eth0", "nud", "permanent")
    _run(*host.inside, "ip", "neighbour", "replace", *neighbour)


def _inside(holder: "subprocess.Popen[bytes]") -> list[str]:
    return ["nsenter", "--target", str(holder.pid), "--net", "--uts"]


def _network_of(pid: int) -> str:
    """Which network a process is in; none where it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _run(*command: str, check: bool = True) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, (command, done.stderr)
