"""What a device process is started with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.child import start_child
from tests.gpus import SECOND
from tests.samples import CHECKPOINTS
from worker.cpu import cpu_flags
from worker.devices.cores import read_siblings, split_cores
from worker.devices.device import Device, alike_name
from worker.parallelism import share_cores
from worker.supervisor import device_environment

GPU = Device("gpu1", SECOND, "Test GPU")
CPU = Device("cpu")

#: Says how many threads each library is set to use in this process, and what it sees of its devices.
TELL = """
import json, os, sys
from pathlib import Path
checkpoint, folder = map(Path, sys.argv[1:])
import openvino as ov
from worker.checkpoints.weights import read_weights
from worker.devices.device import alike_name
from worker.engines.onnx.engine import OnnxEngine
from worker.engines.onnx.graph import write_graph
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.openvino.graph import build_graph
weights = read_weights(checkpoint)
compiled = OpenVINOEngine(build_graph(weights))._requests._compiled
write_graph(weights, folder / "g.onnx", lambda name: False)
onnx = OnnxEngine(folder / "g.onnx")._session.get_session_options()
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
def threads():
    return {thread.name: (thread / "status").read_text() for thread in Path("/proc/self/task").iterdir()}
before = set(threads())
tokenizer(["a wonderful film"] * 10_000)
tokenizing = len(set(threads()) - before)
from worker.backend import tf
allowed = {line.split(":")[1].strip() for status in threads().values()
           for line in status.splitlines() if line.startswith("Cpus_allowed_list")}
told = {
    "OpenVINO": compiled.get_property("INFERENCE_NUM_THREADS"),
    "OpenVINO streams": compiled.get_property("NUM_STREAMS"),
    "ONNX Runtime": onnx.intra_op_num_threads,
    "TensorFlow": tf.config.threading.get_intra_op_parallelism_threads(),
    "TensorFlow operations": tf.config.threading.get_inter_op_parallelism_threads(),
    "tokenizers": tokenizing,
    "allowed": sorted(allowed),
    "alike": alike_name("cpu1@here"),
    "growth": os.environ["TF_FORCE_GPU_ALLOW_GROWTH"],
}
(folder / "told.json").write_text(json.dumps(told))
"""


def test_a_process_sees_its_own_device_only() -> None:
    assert device_environment(CPU)["CUDA_VISIBLE_DEVICES"] == "-1"
    environment = device_environment(GPU)
    # CUDA may number the fastest first; a UUID is the same for all.
    assert environment["CUDA_VISIBLE_DEVICES"] == SECOND
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_freed_memory_is_given_back_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    environment = device_environment(CPU)
    # Each of them said: glibc raises none that it is told by itself.
    assert environment["MALLOC_TRIM_THRESHOLD_"] == str(4 * 2**20)
    assert environment["MALLOC_MMAP_THRESHOLD_"] == environment["MALLOC_TOP_PAD_"] == str(2**20)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert device_environment(CPU) == {**environment, "MALLOC_TRIM_THRESHOLD_": "1000000"}


def test_a_pinned_process_stays_on_its_cores_with_a_thread_for_each_in_every_library(tmp_path: Path) -> None:
    cores = os.sched_getaffinity(0)
    share = split_cores(cores, 2, read_siblings(cores))[1]
    device = Device("cpu1", cores=share)
    # A person's own number does not count.
    environment = {"RAYON_NUM_THREADS": "7", "TOKENIZERS_PARALLELISM": "true", **device_environment(device)}
    command = [sys.executable, "-c", TELL, str(CHECKPOINTS / "bert"), str(tmp_path)]
    process = start_child(command, tmp_path / "log", environment, cores=device.cores)
    assert process.wait() == 0, (tmp_path / "log").read_text()
    told = json.loads((tmp_path / "told.json").read_text())
    count = len(share)
    assert told["OpenVINO"] == told["ONNX Runtime"] == told["tokenizers"] == count
    assert told["OpenVINO streams"] == min(count, 8)
    assert (told["TensorFlow operations"], told["TensorFlow"]) == share_cores(count, cpu_flags())
    assert told["allowed"] == [_as_the_kernel_writes(share)]
    assert told["alike"] == f"cpu-{count}-cores@here"
    assert told["growth"] == "true"


def test_what_is_found_out_on_a_share_of_the_cores_holds_for_all_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {3, 4, 5})
    assert alike_name("cpu0@box") == alike_name("cpu12@box") == "cpu-3-cores@box"
    assert [alike_name(name) for name in ("cpu@box", "gpu0@box")] == ["cpu@box", "gpu0@box"]


def _as_the_kernel_writes(cores: tuple[int, ...]) -> str:
    """Asked of a process that has them."""
    read = """
import os, sys
os.sched_setaffinity(0, map(int, sys.argv[1:]))
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("Cpus_allowed_list")))
"""
    command = [sys.executable, "-c", read, *map(str, cores)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
