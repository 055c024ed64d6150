"""The Dockerfile: nothing to complain of, no root, and built from what is there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.deploy.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _stages() -> dict[str, tuple[str, list[str]]]:
    """By name: what a stage is made from, and its instructions, each on one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    found: dict[str, tuple[str, list[str]]] = {}
    for line in filter(None, joined.splitlines()):
        if start := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            instructions: list[str] = []
            found[start[2]] = (start[1], instructions)
        else:
            instructions.append(line)
    return found


def _of(stage: str) -> list[str]:
    """The instructions of a stage and of those it is made from, the first ones first."""
    base, instructions = _stages()[stage]
    return [*(_of(base) if base in _stages() else []), *instructions]


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    found = subprocess.run([linter, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_images_run_as_a_user_that_is_not_root_and_tell_of_their_health() -> None:
    for stage in ("cpu", "gpu", "flower"):
        users = [line for line in _of(stage) if line.startswith("USER ")]
        assert users == ["USER 10001:10001"], stage
        checks = [line for line in _of(stage) if line.startswith("HEALTHCHECK")]
        assert len(checks) == 1, stage
    assert 'CMD ["python", "-m", "worker.health"]' in " ".join(_of("cpu"))


def test_images_hold_what_runs_and_nothing_of_what_builds() -> None:
    for stage in ("cpu", "gpu"):
        runs = [line for line in _of(stage) if line.startswith(("RUN", "COPY"))]
        assert not [line for line in runs if re.search(r"apt|gcc|pip ", line)], stage
        assert [line for line in runs if line.startswith("COPY")] == [
            f"COPY --from=build-{stage} /opt/reviewmill /opt/reviewmill"
        ]
        (install,) = [line for line in _of(f"build-{stage}") if " install " in line and "pip" in line]
        assert "-c constraints.txt" in install
        assert "--mount=type=cache,target=/root/.cache/pip" in install
        extras = set(re.findall(r"'\.\[(.+)\]'", install)[0].split(","))
        assert extras == {"http", "s3"} | ({"gpu"} if stage == "gpu" else set())
        assert extras <= set(PROJECT["project"]["optional-dependencies"])
    assert "install --disable-pip-version-check -c constraints.txt celery flower redis" in " ".join(_of("build-flower"))


def test_the_python_is_one_that_the_project_supports() -> None:
    (python,) = {base for base, _ in _stages().values() if base.startswith("python:")}
    minor = re.findall(r"^python:3\.(\d+)-slim", python)[0]
    assert f">=3.{minor}," in PROJECT["project"]["requires-python"]
    assert f"python3.{minor}/site-packages" in DOCKERFILE


def test_what_the_build_needs_is_let_in_and_is_there() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    needed = {*PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], "pyproject.toml", "constraints.txt"}
    needed |= {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "deploy/flower"}
    assert let_in == needed
    assert all((ROOT / name).exists() for name in let_in)


def test_images_say_what_they_are() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', " ".join(_of("cpu"))))
    assert labels.keys() == {"title", "description", "licenses", "version", "revision"}
    assert labels["licenses"] == PROJECT["project"]["license"]
    assert f"ARG VERSION={PROJECT['project']['version']}" in _of("cpu")
