"""The one place where Keras and TensorFlow are imported: on the TensorFlow backend, and quietly.

Every module of this room takes keras, keras_hub and tf from here, so that none can import Keras on another
backend.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from worker.errors import WrongBackendError

#: TensorFlow's own variable: a person who wants its log sets it to another level.
_LOG_LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_SILENT = "3"


@contextlib.contextmanager
def _silent_standard_error() -> Iterator[None]:
    """Hold back what C++ writes to standard error, and show it only if the block fails.

    TensorFlow 2.21 writes its start-up lines before its log level is read, so the variable alone is not
    enough.
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


def _quiet() -> contextlib.AbstractContextManager[None]:
    # A parent process that ran this code hands its "3" down.
    if os.environ.setdefault(_LOG_LEVEL_VARIABLE, _SILENT) == _SILENT:
        return _silent_standard_error()
    return contextlib.nullcontext()


os.environ["KERAS_BACKEND"] = "tensorflow"
with _quiet():
    import keras
    import keras_hub
    import tensorflow as tf

if keras.config.backend() != "tensorflow":
    raise WrongBackendError

__all__ = ["keras", "keras_hub", "tf"]
