"""The front door opens at once: no model library is loaded until a model is."""

import resource
import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "keras_hub", "transformers", "openvino", "onnxruntime", "torch")
ROOMS = ("cli", "producer", "broker", "db")

LOAD_A_ROOM = """
import importlib, pkgutil, sys
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if "migrations" not in module.name:
        importlib.import_module(module.name)
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""

LOAD_THE_CLIENT = """
import sys
import producer
assert "producer.client" not in sys.modules
from producer import Client
print(Client.__name__, *(name for name in sys.argv[1:] if name in sys.modules))
"""


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_but_the_workers_loads_a_model_library(room: str) -> None:
    command = [sys.executable, "-c", LOAD_A_ROOM, room, *HEAVY]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_the_client_loads_a_model_library_neither() -> None:
    command = [sys.executable, "-c", LOAD_THE_CLIENT, *HEAVY]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["Client"]


def test_help_takes_under_half_a_second_of_cpu() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    help_ = subprocess.run(
        [sys.executable, "-m", "cli.main", "--help"], capture_output=True, text=True, check=True
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Score every review of a source." in help_
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
