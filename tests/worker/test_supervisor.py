"""What a device process is started with."""

import pytest

from worker.supervisor import device_environment


@pytest.mark.parametrize(("device", "visible"), [("cpu", "-1"), ("0", "0"), ("3", "3")])
def test_a_process_sees_its_own_device_only(device: str, visible: str) -> None:
    assert device_environment(device)["CUDA_VISIBLE_DEVICES"] == visible


def test_freed_memory_is_given_back_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    assert device_environment("cpu")["MALLOC_TRIM_THRESHOLD_"] == "131072"
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert device_environment("cpu")["MALLOC_TRIM_THRESHOLD_"] == "1000000"
