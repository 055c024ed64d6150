"""Processes locked up as the compose file has its containers, where there is no engine to run any.

A mount namespace of its own, in which nothing can be written but the home and a folder for temporary files; a user that
is not root; no capability, and none to be had. Network and processes are the machine's.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.conftest import ROOT

#: The user of the images.
USER = 10001
#: Where the image has its home, and where it is here: a folder that every machine has.
_IMAGE_HOME, _HOME = "/var/lib/reviewmill", "/srv"
_LOCK_UP = """
set -e
mount --bind "$1" /srv
mount -t tmpfs tmpfs /run
mkdir -p -m 1777 /run/tmp
mkdir /run/secrets
mount --bind "$2" /run/secrets
mount -o remount,bind,ro /run/secrets
{opened}
mount -o remount,bind,ro /
shift 2
exec "$@"
"""


_WITHOUT_RIGHTS = [
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"),
]


def _opened() -> str:
    """Commands that open what an image has, and what is in a folder of somebody's own here: an interpreter, perhaps."""
    needed = [Path(sys.base_prefix), Path(sys.prefix), ROOT]
    closed = {path: _closed(path) for path in needed}
    kept = {path: f"/run/opened/{number}" for number, path in enumerate(needed) if closed[path]}
    lines = [f"mkdir -p {place}; mount --bind {path} {place}" for path, place in kept.items()]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {folder}" for folder in {closed[path] for path in kept}]
    lines += [f"mkdir -p {path}; mount --bind {place} {path}" for path, place in kept.items()]
    return "\n".join(lines)


def _closed(path: Path) -> Path | None:
    """The first folder on the way there that other users may not pass through."""
    return next((folder for folder in reversed(path.parents) if folder.stat().st_mode & 0o001 == 0), None)


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets for every image, with the home where it is here."""
    block = re.findall(r"^ENV ((?:.*\\\n)*.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
    found = dict(pair.split("=", 1) for pair in block.replace("\\\n", " ").split())
    return {name: value.replace(_IMAGE_HOME, _HOME) for name, value in found.items() if name != "PATH"}


@dataclass
class Containers:
    """Runs what the compose file says of our services, against servers on ports of this machine."""

    services: Mapping[str, Mapping[str, Any]]
    home: Path
    secrets: Path
    ports: Mapping[str, int]
    log: Path

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a service's command to its end, or another in its place."""
        line, env = self._line(service, command), self._environment(service)
        return subprocess.run(line, capture_output=True, text=True, check=False, env=env, cwd="/", timeout=300)

    @contextmanager
    def started(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service's command during the block, and stop it as an engine does."""
        env = self._environment(service)
        with self.log.open("ab") as log:
            process = subprocess.Popen(self._line(service, ()), stdout=log, stderr=log, env=env, cwd="/")
        try:
            yield process
            process.terminate()
            assert process.wait(60) == 0, self.log.read_text()
        finally:
            process.kill()
            process.wait()

    def check_health(self, service: str) -> subprocess.CompletedProcess[str]:
        """Run the health check of the service, or that of its image."""
        test = self.services[service].get("healthcheck", {}).get("test") or ["CMD", "python", "-m", "worker.health"]
        return self.run(service, *test[1:])

    def _line(self, service: str, command: tuple[str, ...]) -> list[str]:
        words = list(command or ["reviewmill", *self.services[service]["command"]])
        program = {"reviewmill": [sys.executable, "-m", "cli.main"], "python": [sys.executable]}
        line = [*_WITHOUT_RIGHTS, *program.get(words[0], words[:1]), *words[1:]]
        namespace = ["unshare", "--mount", "--propagation", "private"]
        return [
            *namespace,
            "sh",
            "-c",
            _LOCK_UP.format(opened=_opened()),
            "sh",
            str(self.home),
            str(self.secrets),
            *line,
        ]

    def _environment(self, service: str) -> dict[str, str]:
        asked = {**image_environment(), **self.services[service]["environment"]}
        asked = {name: str(value).replace(_IMAGE_HOME, _HOME) for name, value in asked.items()}
        for host, port in self.ports.items():
            asked = {name: re.sub(rf"@{host}:\d+", f"@127.0.0.1:{port}", value) for name, value in asked.items()}
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": "/run/tmp", **asked}


def give_to_user(folder: Path) -> None:
    """Make it the images' user's, as a volume made from an image is."""
    os.chown(folder, USER, USER)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
