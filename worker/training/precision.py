"""The precision training computes in: bfloat16 products where the processor has instructions for them.

Weights, their updates and the logits stay float32, so what is saved is an ordinary float32 checkpoint.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.backend import keras, tf

#: Linux's names for processors' bfloat16 dot products.
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPU_INFO = Path("/proc/cpuinfo")


@contextmanager
def training_precision() -> Iterator[str]:
    """Models built inside compute in the best precision of this device; gives the Keras policy's name."""
    before = keras.config.dtype_policy()
    policy = "mixed_bfloat16" if _has_bfloat16() else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)


def _has_bfloat16() -> bool:
    # Every GPU that TensorFlow 2.21 supports multiplies bfloat16.
    return bool(tf.config.list_physical_devices("GPU")) or bool(_cpu_flags() & _CPU_FLAGS)


def _cpu_flags() -> set[str]:
    if not _CPU_INFO.exists():
        return set()
    for line in _CPU_INFO.read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
