"""How much memory there is: of the machine, of the container, of the GPU, and of a part of the cores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.gpus import FIRST, SECOND, with_gpus
from worker.memory_limits import cgroup_limits, memory_of
from worker.settings import WorkerSettings

MIB = 1024 * 1024


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_a_cpu_has_the_machines_memory_or_the_containers() -> None:
    assert 0 < memory_of("cpu@here") <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_every_group_above_counts(tmp_path: Path) -> None:
    write(tmp_path / "own", "0::/system/reviewmill")
    write(tmp_path / "cgroup/system/reviewmill/memory.max", "max")
    write(tmp_path / "cgroup/system/memory.max", str(700 * MIB))
    assert list(cgroup_limits(tmp_path / "own", tmp_path / "cgroup")) == [700 * MIB]
    write(tmp_path / "cgroup/system/reviewmill/memory.max", str(600 * MIB))
    assert sorted(cgroup_limits(tmp_path / "own", tmp_path / "cgroup")) == [600 * MIB, 700 * MIB]


def test_a_container_that_sees_its_group_at_the_root_is_limited_by_it(tmp_path: Path) -> None:
    write(tmp_path / "own", "12:cpu,cpuacct:/docker/1\n9:memory:/docker/1\n1:name=systemd:/docker/1")
    write(tmp_path / "cgroup/memory/memory.limit_in_bytes", str(500 * MIB))
    assert list(cgroup_limits(tmp_path / "own", tmp_path / "cgroup")) == [500 * MIB]


def test_where_there_are_no_groups_nothing_limits(tmp_path: Path) -> None:
    assert list(cgroup_limits(tmp_path / "nowhere", tmp_path)) == []


ASK = """
import os, sys
os.sched_setaffinity(0, eval(sys.argv[1]))
from tests.gpus import FIRST, SECOND, with_gpus
from worker.memory_limits import memory_of
print(memory_of("cpu@here"))
"""


def test_a_process_with_a_part_of_the_cores_has_that_part_of_the_memory() -> None:
    cores = sorted(os.sched_getaffinity(0))

    def told(part: list[int]) -> int:
        command = [sys.executable, "-c", ASK, repr(part)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert told(cores[:1]) == pytest.approx(told(cores) / len(cores), rel=0.01)


def test_a_gpu_has_its_own_memory() -> None:
    program = "from worker.memory_limits import memory_of; print(memory_of('gpu1@here'), memory_of('cpu@here'))"

    def told(uuid: str) -> list[int]:
        environment = {**os.environ, **with_gpus(FIRST, SECOND), "CUDA_VISIBLE_DEVICES": uuid}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        return [int(word) for word in done.stdout.split()]

    machines = told("GPU-of-nobody")[1]
    assert told(SECOND) == [2048 * MIB, machines]
    assert told(FIRST) == [1024 * MIB, machines]
    # Of one that the driver does not know, the machine's is the limit.
    assert told("GPU-of-nobody") == [machines, machines]


def test_the_setting_is_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    for written, meant in (("auto", "auto"), ("512MiB", 512 * MIB), ("2GiB", 2048 * MIB), ("1000000", 1_000_000)):
        monkeypatch.setenv("REVIEWMILL_MODEL_MEMORY", written)
        assert WorkerSettings().model_memory == meant
    for nonsense in ("0", "-1GiB", "plenty"):
        monkeypatch.setenv("REVIEWMILL_MODEL_MEMORY", nonsense)
        with pytest.raises(ValidationError, match="it must be auto, or a size such as 4GiB or 800MB"):
            WorkerSettings()
