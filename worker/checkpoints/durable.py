"""Tensors that lie on the disk whole once they are written, whatever happens to the machine afterwards."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from db.durable import sync
from worker.errors import CheckpointSaveError

#: How safetensors words what the operating system refused; it gives no number otherwise.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file and wait until it is on the disk. Not atomic: write beside the place and rename.

    Raises OSError (ENOSPC on a full disk), and CheckpointSaveError where the tensors are at fault.
    """
    # safetensors makes files that only their owner may read; workers of other users need them too.
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(dict(tensors), path, metadata=dict(metadata))
    except SafetensorError as error:
        raise _plain(path, error) from error
    path.chmod(mode)
    sync(path)


def _plain(path: Path, error: SafetensorError) -> Exception:
    found = _OS_ERROR.search(str(error))
    if found is None:
        return CheckpointSaveError(f"{path}: the tensors cannot be written: {error}")
    number = int(found[1])
    return OSError(number, os.strerror(number), str(path))
