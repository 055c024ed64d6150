"""Which engine serves a model on a device, and loading it with the tokenizer that feeds it."""

from collections.abc import Callable
from pathlib import Path

import structlog

from db.registry import RegisteredModel
from worker.checkpoints.tokenizer import Tokenizer
from worker.engines.base import Engine
from worker.engines.cpu.artefacts import are_built, build_artefacts

#: The engine that makes answers up; it has no precision, and its answers are marked with its name instead.
NULL = "null"
#: OpenVINO or ONNX Runtime, as the precision's variant has it.
CPU = "cpu"

Loaded = tuple[Tokenizer, Engine]

log = structlog.get_logger()


def choose_engine(wanted: str, device: str) -> str:
    """The engine's name for REVIEWMILL_ENGINE and a device of worker.devices.device_name.

    Auto is TensorFlow on GPUs and CPU on CPUs.
    """
    if wanted != "auto":
        return wanted
    return CPU if device.startswith("cpu") else "tensorflow"


def load_engine(name: str, record: RegisteredModel, engines: Path, precision: str) -> Loaded:
    """Load a model's tokenizer and engine. Raises CheckpointLoadError, EngineBuildError and OSError."""
    return _LOADERS[name](record, engines, precision)


def reads_checkpoint(name: str, record: RegisteredModel, engines: Path) -> bool:
    """Whether loading the engine reads the checkpoint's own files; one of the CPU that is built does not."""
    return _LOADERS[name] is not _on_cpu or not are_built(engines, record.digest)


# Each imports its library at its first model: a worker that has no work needs none of them.


def _on_cpu(record: RegisteredModel, engines: Path, precision: str) -> Loaded:
    from worker.checkpoints.tokenizer import read_tokenizer
    from worker.engines.cpu.variants import open_variant, variant_named

    artefacts = build_artefacts(engines, Path(record.path), record.digest)
    return read_tokenizer(artefacts.folder), open_variant(variant_named(precision), artefacts.graph(precision))


def _tensorflow(record: RegisteredModel, _engines: Path, precision: str) -> Loaded:
    from worker.checkpoints.tokenizer import load_tokenizer
    from worker.engines.tensorflow import TensorFlowEngine

    directory = Path(record.path)
    return load_tokenizer(directory), TensorFlowEngine(directory, precision)


def _null(record: RegisteredModel, _engines: Path, _precision: str) -> Loaded:
    from worker.checkpoints.tokenizer import load_tokenizer
    from worker.engines.null import NullEngine

    log.warning("the null engine's answers mean nothing", action="null_engine", model=record.reference)
    return load_tokenizer(Path(record.path)), NullEngine(len(record.labels))


_LOADERS: dict[str, Callable[[RegisteredModel, Path, str], Loaded]] = {
    CPU: _on_cpu,
    "openvino": _on_cpu,
    "onnx": _on_cpu,
    "tensorflow": _tensorflow,
    NULL: _null,
}
