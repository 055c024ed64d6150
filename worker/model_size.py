"""How many bytes a model takes in memory, told before it is loaded."""

from pathlib import Path

from db.checkpoint import count_parameters
from worker.engines.choose import NULL

_FLOAT32_BYTES = 4


def size_in_memory(directory: Path, engine: str, precision: str) -> int:
    """Bytes of a checkpoint's model, reckoned from its weights and not measured."""
    return 0 if engine == NULL else count_parameters(directory) * _FLOAT32_BYTES
