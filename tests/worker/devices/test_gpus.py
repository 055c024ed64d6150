"""GPUs through the real nvidia-ml-py, above a driver's library that is made up, or that is not there."""

import json
import os
import subprocess
import sys

from tests.gpus import FIRST, SECOND, with_gpus

ASK = """
import json, sys
import worker.devices
assert "pynvml" not in sys.modules
from worker.devices.gpus import find_gpus
found = find_gpus()
assert not {"tensorflow", "keras"} & set(sys.modules)
print(json.dumps([[[gpu.name, gpu.uuid, gpu.model] for gpu in found.gpus], found.trouble, found.has_library]))
"""


def ask(environment: dict[str, str]) -> list:
    command = [sys.executable, "-c", ASK]
    asked = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return json.loads(asked.stdout)


def test_gpus_have_their_numbers_uuids_and_names() -> None:
    gpus, trouble, has_library = ask(with_gpus(f"{FIRST}=NVIDIA H200", f"{SECOND}=Tesla T4"))
    assert gpus == [["gpu0", FIRST, "NVIDIA H200"], ["gpu1", SECOND, "Tesla T4"]]
    assert (trouble, has_library) == ("", True)


def test_a_gpu_that_is_lost_takes_nothing_from_the_others() -> None:
    gpus, trouble, _ = ask(with_gpus(f"{FIRST}=lost", SECOND))
    # It keeps its number.
    assert [gpu[:2] for gpu in gpus] == [["gpu1", SECOND]]
    assert trouble.startswith("NVML says of GPU 0: ")


def test_a_driver_that_fails_is_told_and_one_that_is_not_there_is_none() -> None:
    driver_mismatch = "18"
    gpus, trouble, has_library = ask(with_gpus(FIRST, FAKE_NVML_ERROR=driver_mismatch))
    assert (gpus, has_library) == ([], True)
    assert trouble.startswith("NVML says: ")
    assert ask(with_gpus(FAKE_NVML_ERROR="missing")) == [[], "NVML says: NVML Shared Library Not Found", False]
