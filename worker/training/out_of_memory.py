"""What a person is told when a training needs more memory than its device has."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from db.errors import DatabaseError
from worker.errors import TrainingError, WorkerError
from worker.memory import is_out_of_memory


@contextmanager
def saying_what_to_lower(params: Mapping[str, Any]) -> Iterator[None]:
    """Raise TrainingError where the block runs out of memory: another attempt would need as much."""
    try:
        yield
    except (DatabaseError, WorkerError, OSError):
        # Theirs may speak of memory too, but not of this device's.
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"memory ran out in training; lower {_what_to_lower(params)}") from error


def _what_to_lower(params: Mapping[str, Any]) -> str:
    size, accumulate, length = params["batch_size"], params["accumulate"], params["max_length"]
    tokens = f"--max-length (it is {length or 'the limit of the model'})"
    if size == 1:
        return tokens
    instead = f"as with --batch-size {size // 2} --accumulate {2 * accumulate}"
    return f"--batch-size (it is {size}) and make up for it with --accumulate, {instead}, or lower {tokens}"
