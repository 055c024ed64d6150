"""Files that lie on the disk whole once they are written, whatever happens to the machine afterwards."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from worker.errors import CheckpointSaveError

#: How safetensors words what the operating system refused; it gives no number otherwise.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def sync(path: Path) -> None:
    """Wait until the contents of a file, or the names in a folder, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(target: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder beside the target and rename it there: it is seen whole or not at all.

    A write that fails leaves nothing. Raises OSError, and what `write` raises.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        # The first version of a name also makes the folder of that name.
        sync(target.parent)
        sync(target.parent.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


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
