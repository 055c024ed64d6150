"""A GPU and a pinned core have one owner on a machine, for as long as any of its processes lives."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest

from tests.system import wait_until
from worker.devices import exclusive
from worker.devices.device import Device
from worker.devices.exclusive import DeviceTaken, hold_device


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "_PATIENCE_S", 0.3)


@pytest.fixture
def gpu() -> Device:
    """Of no other test, which may run beside this one."""
    return Device("gpu0", f"GPU-{uuid4()}", "Test GPU")


def is_taken(device: Device) -> bool:
    waited: list[bool] = []
    try:
        held = hold_device(device, lambda: waited.append(True))
    except DeviceTaken:
        assert waited == [True]
        return True
    for one in held:
        one.close()
    return False


def child(inherited: Sequence[int]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=tuple(inherited))


@pytest.fixture
def held(gpu: Device) -> Iterator[list]:
    sockets = hold_device(gpu, lambda: None)
    yield sockets
    for one in sockets:
        one.close()


def test_a_device_is_taken_while_it_is_held(gpu: Device, held: list) -> None:
    assert is_taken(gpu)
    with pytest.raises(DeviceTaken, match="gpu0 is at work for another worker of this machine"):
        hold_device(gpu, lambda: None)
    for one in held:
        one.close()
    assert not is_taken(gpu)


def test_who_waits_gets_a_device_that_is_given_back_in_time(
    gpu: Device, held: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive, "_PATIENCE_S", 60)
    (mine,) = hold_device(gpu, held[0].close)
    mine.close()


def test_a_child_holds_it_when_its_parent_is_gone_and_kill_9_lets_it_go(gpu: Device, held: list) -> None:
    process = child([one.fileno() for one in held])
    for one in held:
        one.close()
    assert is_taken(gpu)
    process.kill()
    process.wait()
    process.stdin.close()  # type: ignore[union-attr]
    wait_until(lambda: not is_taken(gpu), 10)


def test_pinned_cores_are_taken_one_by_one_and_whole_cpus_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    # Numbers that no machine has: real workers of tests beside this one are pinned to the real ones.
    some = [Device("cpu0", cores=(90_001, 90_002)), Device("cpu1", cores=(90_003,))]
    kept = [one for device in some for one in hold_device(device, lambda: None)]
    assert is_taken(Device("cpu0", cores=(90_000, 90_003)))
    # Of what it could not have whole, it keeps nothing.
    assert not is_taken(Device("cpu0", cores=(90_000,)))
    assert hold_device(Device("cpu"), lambda: None) == []
    for one in kept:
        one.close()
