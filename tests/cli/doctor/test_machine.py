"""The doctor at the machine: packages, disk, processors, memory; broken for real where that can be."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli.checks.examine import CHECKS
from cli.checks.finding import Finding, Status
from cli.checks.machine import cpu_findings, memory_findings
from cli.checks.versions import EXTRAS, PYTHONS
from tests.cli.doctor.conftest import Examine
from tests.conftest import Run
from tests.gpus import FIRST, SECOND, with_gpus
from worker.cgroup import Limits, limits

ROOT = Path(__file__).parents[3]


def only(found: list[Finding]) -> Finding:
    (one,) = found
    return one


def test_this_machine_is_well(findings: Examine) -> None:
    assert "tensorflow" in only(findings("versions")).what
    assert "can be written" in only(findings("disk")).what
    assert findings("libraries") == []
    assert next(one.status for one in findings("devices")) is Status.OK


def test_the_python_that_is_needed_is_the_projects() -> None:
    assert f'requires-python = "{">=3.11,<3.13"}"' in (ROOT / "pyproject.toml").read_text()
    assert sorted(map(str, PYTHONS)) == ["<3.13", ">=3.11"]


@pytest.mark.parametrize(
    ("package", "version", "told"),
    [
        ("keras", "2.0", (Status.WRONG, "keras is 2.0, and must be <3.16,>=3.15", "pip install 'keras<3.16,>=3.15'")),
        ("keras", "3.15.9", None),
        ("s3fs", "1.0", (Status.WARNING, "s3fs is 1.0, and must be <2027,>=2026.4 to be of use", None)),
        ("pytest", "1.0", None),
    ],
)
def test_a_package_out_of_its_range_is_told(
    package: str,
    version: str,
    told: tuple[Status, str, str | None] | None,
    findings: Examine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = tmp_path / f"{package}-{version}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    one = only(findings("versions"))
    if told is None:
        assert one.status is Status.OK
    else:
        assert (one.status, one.what) == told[:2]
        assert one.mend == (told[2] or one.mend)


def test_every_extra_for_users_is_known() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"demo", "dev"}


def test_a_library_that_does_not_load_is_told(
    findings: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libcuda.so.1: no such file')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', ROOT)}")
    monkeypatch.setattr("cli.checks.libraries.LIBRARIES", {"json": "import json", "onnxruntime": "import onnxruntime"})
    one = only(findings("libraries", deep=True))
    assert (one.status, "onnxruntime does not load: ImportError: libcuda.so.1" in one.what) == (Status.WRONG, True)


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        ("-o size=1m", "has only"),
        ("-o ro", "cannot be written: Read-only file system"),
        ("-o size=16k", "cannot be written: No space left on device"),
    ],
)
def test_a_full_and_a_read_only_folder_are_told(
    mount: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounted for this process and its children alone."""
    home = tmp_path / "mounted"
    home.mkdir()
    monkeypatch.setenv("REVIEWMILL_HOME", str(home))
    doctor = f"{sys.executable} -m cli.main doctor --quick --json"
    script = f"mount -t tmpfs {mount} none {home} && exec {doctor}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    found = [one for one in json.loads(done.stdout)["checks"] if one["check"] == "disk"]
    assert done.returncode == 1
    assert f"{home}, the folder of the home, " in found[0]["what"]
    assert told in found[0]["what"]
    assert "room" in found[0]["mend"]


def test_a_home_that_cannot_be_made_is_told(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by root."""
    monkeypatch.setenv("REVIEWMILL_HOME", "/proc/reviewmill")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://mill@127.0.0.1:9/x")
    assert "cannot be written" in findings("disk")[0].what


def test_devices_that_there_are_not_are_told(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_DEVICES", "toaster")
    first, *_ = findings("devices")
    assert (first.status, "toaster" in first.what, "auto" in first.mend) == (Status.WRONG, True, True)


def test_gpus_are_told_and_so_is_one_that_is_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in with_gpus(f"{FIRST}=lost", f"{SECOND}=NVIDIA H200").items():
        monkeypatch.setenv(name, value)
    found = [one for one in json.loads(run("doctor", "--json").stdout)["checks"] if one["check"] == "devices"]
    assert (found[0]["status"], "NVML says of GPU 0" in found[0]["what"]) == ("warning", True)
    assert f"run on 1 (NVIDIA H200, {SECOND}) for score and train" in found[1]["what"]


def test_a_quota_of_less_than_the_cores_in_sight_is_warned_of() -> None:
    _, told = cpu_findings(Limits(1.5, None, None), own_cores=4, cores=8)
    assert (told.status, "1.5 CPUs' time, but 4 cores" in told.what) == (Status.WARNING, True)
    assert len(list(cpu_findings(Limits(4.0, None, None), own_cores=4, cores=8))) == 1


@pytest.mark.parametrize(
    ("available", "in_container", "status"),
    [
        (8_000_000_000, None, Status.OK),
        (8_000_000_000, 1_000_000_000, Status.WARNING),
        (100_000_000, None, Status.WRONG),
    ],
)
def test_little_memory_is_told_whoever_limits_it(available: int, in_container: int | None, status: Status) -> None:
    assert only(list(memory_findings(Limits(None, None, in_container), available))).status is status


def test_limits_are_the_tightest_of_all_groups_around_a_process(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/pod/container\n")
    container = tmp_path / "cgroup" / "pod" / "container"
    container.mkdir(parents=True)
    (container / "cpu.max").write_text("max 100000\n")
    (container.parent / "cpu.max").write_text("150000 100000\n")
    (container / "memory.max").write_text("4000000000\n")
    (container / "memory.current").write_text("1000000000\n")
    (container.parent / "memory.max").write_text("max\n")
    assert limits(tmp_path / "cgroup", own) == Limits(1.5, 4_000_000_000, 3_000_000_000)
    assert limits(tmp_path / "nothing", tmp_path / "no file") == Limits(None, None, None)


def test_a_check_that_breaks_is_a_finding_and_the_others_are_made(
    findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_patient: object) -> None:
        raise ValueError("with a planted secret")

    monkeypatch.setitem(CHECKS, "memory", breaks)
    found = findings()
    (one,) = [one for one in found if one.check == "memory"]
    assert (one.status, "ValueError" in one.what, "planted" in one.what) == (Status.WRONG, True, False)
    assert {"disk", "redis", "database"} <= {one.check for one in found}


def test_the_doctor_starts_and_makes_nothing(run: Run, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run("doctor").returncode == 0
    assert sorted(tmp_path.rglob("*")) == before
