"""The one place where Keras and TensorFlow are imported: on the TensorFlow backend, and quietly.

Every module of this room takes keras, keras_hub and tf from here, so that none can import Keras on another
backend.
"""

import contextlib
import os

import structlog

from worker.cpu import cpu_flags
from worker.errors import WrongBackendError
from worker.parallelism import share_cores
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
# Memory of a GPU is taken as it is needed: others than ours may be at work there, and what TensorFlow took at once
# would tell nobody what a model needs.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
with _quiet():
    import keras
    import keras_hub
    import tensorflow as tf

# Of the cores that this process may use, whether it was pinned to them by us or by somebody else.
_THREADS = share_cores(len(os.sched_getaffinity(0)), cpu_flags())
tf.config.threading.set_inter_op_parallelism_threads(_THREADS.at_once)
tf.config.threading.set_intra_op_parallelism_threads(_THREADS.each)
# Passes over a graph that cost the first batch time and give nothing back: of what the one fuses, products with their
# biases take half as long again, and the other turns images.
tf.config.optimizer.set_experimental_options({"remapping": False, "layout_optimizer": False})

if os.environ.get("CUDA_VISIBLE_DEVICES", "").startswith("GPU-") and not tf.config.list_physical_devices("GPU"):
    structlog.get_logger().warning(
        "TensorFlow cannot use the GPU, and computes on the CPU; CUDA comes with: pip install 'reviewmill[gpu]'",
        action="gpu_unusable",
    )

if keras.config.backend() != "tensorflow":
    raise WrongBackendError

__all__ = ["keras", "keras_hub", "tf"]
