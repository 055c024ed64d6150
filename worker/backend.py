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
#: TensorFlow's own variable: whether it computes with oneDNN. Left alone it does so only on CPUs that have special
#: instructions for 8-bit or bfloat16 products; on two AVX2 cores a training step of MiniLM took 1.1 s without it and
#: takes 0.6 with it.
_ONEDNN_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


def _quiet() -> contextlib.AbstractContextManager[None]:
    # A parent process that ran this code hands its "3" down.
    if os.environ.setdefault(_LOG_LEVEL_VARIABLE, _SILENT) == _SILENT:
        return silent_standard_error()
    return contextlib.nullcontext()


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault(_ONEDNN_VARIABLE, "1")
with _quiet():
    import keras
    import keras_hub
    import tensorflow as tf

if keras.config.backend() != "tensorflow":
    raise WrongBackendError

__all__ = ["keras", "keras_hub", "tf"]
