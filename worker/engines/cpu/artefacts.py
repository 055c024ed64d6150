"""What is built of a checkpoint for this kind of CPU, and kept: its tokenizer and a graph for each precision.

ENGINES/DIGEST-BUILD/tokenizer.json, float32.xml, float32.bin, int8-dynamic.onnx ...

DIGEST is the checkpoint's, BUILD that of the CPU's kind and the versions of the libraries: another CPU or an
upgrade builds anew. Several workers that start together build once. Building runs in a process of its own, so that
no worker carries the libraries and the memory that only building needs.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import structlog

from broker.child import run_child
from db.durable import put_in_place
from db.file_lock import locked
from worker.cpu import cpu_kind
from worker.engines.cpu.build import CHECKPOINT_AT_FAULT
from worker.engines.cpu.variants import variant_named
from worker.errors import CheckpointLoadError, EngineBuildError

#: Counted up when what is built changes.
_FORMAT = 2
_LIBRARIES = ("openvino", "onnxruntime", "transformers", "tokenizers")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Artefacts:
    """The folder of one checkpoint's artefacts; whole once it exists."""

    folder: Path

    def graph(self, variant: str) -> Path:
        """The file of a variant's graph. Raises KeyError for another name."""
        return self.folder / variant_named(variant).graph

    def has(self, variant: str) -> bool:
        """Whether the graph of a variant is built."""
        return self.graph(variant).exists()


def build_artefacts(engines: Path, directory: Path, digest: str) -> Artefacts:
    """Return the artefacts of a checkpoint, with its float32 graph; built if they are not there yet.

    Raises CheckpointLoadError where the checkpoint is at fault, EngineBuildError and OSError.
    """
    target = _folder(engines, digest)
    with locked(target.with_suffix(".lock")):
        if not target.is_dir():
            log.info("building the engine", action="engine_building", checkpoint=str(directory))
            log_file = target.with_suffix(".log")
            put_in_place(target, lambda folder: _run_builder(["float32", str(directory), str(folder)], log_file))
    return Artefacts(target)


def are_built(engines: Path, digest: str) -> bool:
    """Whether a checkpoint with that digest has its artefacts: they answer as it does, and its files are not read."""
    return _folder(engines, digest).is_dir()


def _folder(engines: Path, digest: str) -> Path:
    return engines / f"{digest[:32]}-{_build_key()}"


def _build_key() -> str:
    parts = [_FORMAT, cpu_kind(), *(version(name) for name in _LIBRARIES)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _run_builder(arguments: Sequence[str], log_file: Path) -> None:
    """Run the builder to its end; its last line says what went wrong."""
    log_file.unlink(missing_ok=True)
    code, reason = run_child([sys.executable, "-m", "worker.engines.cpu.build", *arguments], log_file)
    if code == 0:
        log_file.unlink()
        return
    if code == CHECKPOINT_AT_FAULT:
        raise CheckpointLoadError(reason)
    raise EngineBuildError(f"the engine could not be built: {reason} (more in {log_file})")
