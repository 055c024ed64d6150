"""Folders that are seen whole or not at all, and that lie on the disk once they are seen."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


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
