"""The number format that Keras models compute in. Their weights and logits are float32 whatever it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from worker.backend import keras, tf
from worker.cpu import cpu_flags, cpu_vendor, multiplies_faster_in_bfloat16

#: Format -> Keras's name for computing in it with float32 weights.
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
#: Linux's names for processors' bfloat16 dot products.
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


@contextmanager
def computing_in(name: str) -> Iterator[None]:
    """Models that are built inside compute in float32 or bfloat16."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16() -> bool:
    """Whether this device has instructions for it: without, it is many times slower than float32."""
    return has_gpu() or bool(cpu_flags() & _CPU_FLAGS)


def format_of_products() -> str:
    """In which format a training multiplies matrices: the faster on this device of bfloat16 and float32."""
    faster = has_gpu() or multiplies_faster_in_bfloat16(cpu_flags(), cpu_vendor())
    return "bfloat16" if faster else "float32"


def has_gpu() -> bool:
    """Whether TensorFlow sees one. Every GPU that TensorFlow 2.21 supports multiplies bfloat16."""
    return bool(tf.config.list_physical_devices("GPU"))


def parts_at_once() -> int:
    """In how many parts a batch is computed, see worker.checkpoints.parts; a GPU computes it whole."""
    return 1 if has_gpu() else int(tf.config.threading.get_inter_op_parallelism_threads())
