"""The one place where Keras and TensorFlow are imported: on the TensorFlow backend, and quietly.

Every module of this room takes keras, keras_hub and tf from here, so that none can import Keras on another
backend.
"""

import contextlib
import os

from worker.errors import WrongBackendError
from worker.silence import silent_standard_error

#: TensorFlow's own variable: a person who wants its log sets it to another level.
_LOG_LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_SILENT = "3"


def _quiet() -> contextlib.AbstractContextManager[None]:
    # A parent process that ran this code hands its "3" down.
    if os.environ.setdefault(_LOG_LEVEL_VARIABLE, _SILENT) == _SILENT:
        return silent_standard_error()
    return contextlib.nullcontext()


os.environ["KERAS_BACKEND"] = "tensorflow"
with _quiet():
    import keras
    import keras_hub
    import tensorflow as tf

if keras.config.backend() != "tensorflow":
    raise WrongBackendError

__all__ = ["keras", "keras_hub", "tf"]
