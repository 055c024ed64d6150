"""Who runs against whom, and who cannot run here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from bench.data import DataSet, Slice
from bench.peer import Peers
from bench.result import Result
from bench.runs import Alone, EndToEnd
from worker.cpu import cpu_kind
from worker.settings import WorkerSettings

#: Engine and precision of Reviewmill. `auto` is none of them: it serves in one of these, at its pace.
OURS = (
    ("openvino", "int8"),
    ("openvino", "bfloat16"),
    ("openvino", "float32"),
    ("onnx", "int8"),
    ("tensorflow", "float32"),
    ("null", "float32"),
)
#: Precision and batch size of the transformers pipeline.
PIPELINES = (("float32", 1), ("float32", 32), ("bfloat16", 1), ("bfloat16", 32))
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "+bf16")
_NO_BFLOAT16 = "this CPU has no bfloat16 instructions"

Run = Callable[[Slice], Result]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the table. `group` is what ratios are taken to, `peak` the number format it is held against."""

    name: str
    group: str
    peak: str
    run: Run


@dataclass(frozen=True, slots=True)
class Absent:
    """One that does not run here, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that contestants are made of. `device` is cpu, or cuda on the GPU leg."""

    folder: Path
    model: Path
    python: Path
    seconds: float
    device: str = "cpu"

    def contestants(self, data: DataSet) -> Iterator[Contestant | Absent]:
        """All of them, for one data set."""
        for engine, precision in OURS:
            yield from self._ours(data, engine, precision)
        peers = Peers(self.folder, self.model, self.python, data, self.seconds)
        for precision, size in PIPELINES:
            yield self._pipeline(peers, precision, size)
        yield self._onnx(peers)
        yield Absent("infinity", "no version of it installs beside the transformers and PyTorch of the peers")

    def _ours(self, data: DataSet, engine: str, precision: str) -> Iterator[Contestant | Absent]:
        name = f"reviewmill {engine} {precision}"
        reason = self._obstacle(engine, precision)
        if reason is not None:
            yield Absent(name, reason)
            return
        whole = EndToEnd(self.folder, self.model, data, engine, precision, self.device)
        yield Contestant(f"{name}, end to end", name, precision, whole.run)
        if engine == "null":
            return
        yield Contestant(f"{name}, engine only", name, precision, Alone(self.folder, self.model, engine, precision).run)

    def _obstacle(self, engine: str, precision: str) -> str | None:
        if engine not in get_args(WorkerSettings.model_fields["engine"].annotation):
            return f"REVIEWMILL_ENGINE={engine} is not there yet"
        if self.device == "cuda":
            return None if engine == "tensorflow" else "it runs on CPUs only"
        return _NO_BFLOAT16 if precision == "bfloat16" and not has_bfloat16() else None

    def _pipeline(self, peers: Peers, precision: str, size: int) -> Contestant | Absent:
        name = f"transformers pipeline {precision}, batch {size}"
        if not self.python.exists():
            return Absent(name, "the peers are not installed; `make bench` installs them")
        if self.device == "cpu" and precision == "bfloat16" and not has_bfloat16():
            return Absent(name, _NO_BFLOAT16)

        def run(reviews: Slice) -> Result:
            return peers.pipeline(reviews, precision, size, self.device)

        return Contestant(name, f"pipeline {precision}", precision, run)

    def _onnx(self, peers: Peers) -> Contestant | Absent:
        name = "ONNX Runtime dynamic int8, sorted batches"
        if not self.python.exists():
            return Absent(name, "the peers are not installed; `make bench` installs them")
        if self.device == "cuda":
            return Absent(name, "its dynamic int8 is for CPUs")
        return Contestant(name, "ONNX Runtime int8", "int8", peers.onnx)


def has_bfloat16() -> bool:
    """Whether this processor has instructions for it."""
    return any(flag in cpu_kind() for flag in _BFLOAT16)
