"""What `--devices` and `--queues` say on a machine with GPUs, and on one without."""

import pytest

from tests.gpus import FIRST, SECOND
from worker.devices.choose import Machine, UnknownDevice
from worker.devices.device import Device

GPUS = [Device("gpu0", FIRST, "NVIDIA H200"), Device("gpu1", SECOND, "Tesla T4")]
CPU = [Device("cpu")]
SHARES = [Device("cpu0", cores=(0, 1)), Device("cpu1", cores=(2, 3))]
BOTH = ("score", "train")


@pytest.fixture(autouse=True)
def _all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def placed(machine: Machine, wanted: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.device.name, one.queues) for one in machine.place(wanted)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("auto", [("gpu0", BOTH), ("gpu1", BOTH)]),
        ("cpu", [("cpu", BOTH)]),
        ("0, 1", [("gpu0", BOTH), ("gpu1", BOTH)]),
        ("gpu1", [("gpu1", BOTH)]),
        (FIRST, [("gpu0", BOTH)]),
        ("GPU-11112,gpu-11111", [("gpu1", BOTH), ("gpu0", BOTH)]),
        ("0:score,1:train", [("gpu0", ("score",)), ("gpu1", ("train",))]),
        ("auto:score,cpu:train", [("gpu0", ("score",)), ("gpu1", ("score",)), ("cpu", ("train",))]),
        ("0:train+score,1", [("gpu0", ("train", "score")), ("gpu1", BOTH)]),
        (f"{SECOND} : score", [("gpu1", ("score",))]),
    ],
)
def test_devices_and_their_queues(wanted: str, found: list[tuple[str, tuple[str, ...]]]) -> None:
    assert placed(Machine(GPUS, CPU), wanted) == found


def test_without_gpus_auto_is_the_cpu_or_its_shares() -> None:
    assert placed(Machine([], CPU), "auto") == [("cpu", BOTH)]
    assert placed(Machine([], SHARES), "auto") == [("cpu0", BOTH), ("cpu1", BOTH)]
    assert placed(Machine([], SHARES), "cpu0:score,cpu1:train") == [("cpu0", ("score",)), ("cpu1", ("train",))]


def test_queues_that_are_not_said_are_those_of_the_option() -> None:
    placements = Machine(GPUS, CPU).place("0,1:train", ["score"])
    assert [one.queues for one in placements] == [("score",), ("train",)]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("2", "'2' is no device of this machine; there are auto, cpu, 0 (NVIDIA H200, GPU-11111111-"),
        ("GPU-9", "'GPU-9' is no device"),
        ("GPU-1111", "'GPU-1111' may be 0 (NVIDIA H200, "),
        ("-1", "'-1' is no device"),
        ("0,,1", "'' is no device"),
        ("cpu0", "'cpu0' is no device"),
        ("0,gpu0", "names gpu0 2 times; no two processes share a device"),
        ("auto,1", "names gpu1 2 times"),
        ("0:scoring", "'0:scoring' names no queues; write DEVICE:score+train"),
        ("0:score:train", "'0:score:train' names no queues"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(wanted: str, said: str) -> None:
    with pytest.raises(UnknownDevice) as raised:
        Machine(GPUS, CPU).place(wanted)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_trouble_with_gpus_is_told_to_who_asks_for_one() -> None:
    with pytest.raises(UnknownDevice, match="there are auto, cpu; NVML says: no driver"):
        Machine([], CPU, "NVML says: no driver").place("0")


def test_shares_of_a_cpu_that_does_not_work_are_refused() -> None:
    with pytest.raises(UnknownDevice, match="--processes deals out the CPU's cores"):
        Machine(GPUS, SHARES).place("auto")
    assert len(Machine(GPUS, SHARES).place("auto:score,cpu:train")) == 4


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("1", ["gpu1"]),
        (f"{SECOND},0", ["gpu1", "gpu0"]),
        ("1,7,0", ["gpu1"]),
        ("-1", ["cpu"]),
        ("", ["cpu"]),
    ],
)
def test_auto_takes_what_the_environment_leaves_us(
    monkeypatch: pytest.MonkeyPatch, said: str, found: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert [name for name, _ in placed(Machine(GPUS, CPU), "auto")] == found
    # What is named outright is taken all the same.
    assert [name for name, _ in placed(Machine(GPUS, CPU), "0")] == ["gpu0"]
