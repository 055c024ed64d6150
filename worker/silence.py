"""Keeping native code quiet that cannot be told to be."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def silent_standard_error() -> Iterator[None]:
    """Hold back what anybody writes to standard error, and show it only if the block fails.

    TensorFlow 2.21 writes its start-up lines before its log level is read, so the variable alone is not
    enough. The log goes past it, on a file descriptor of its own: see worker.logs.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
