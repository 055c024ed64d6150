"""How many bytes a model takes in memory, told before it is loaded."""

from pathlib import Path

from db.checkpoint import count_parameters
from worker.engines.choose import NULL
from worker.engines.cpu.variants import FLOAT32

#: Keras keeps weights in float32 whatever it computes in.
_FLOAT32_BYTES = 4
#: Of lower precisions on CPUs. Measured on BERT-base, 110 million parameters, once a batch was inferred and buffers
#: included: float32 takes 434 MB of private memory, bfloat16 272, OpenVINO's int8 315 and ONNX Runtime's 296.
_LOWER_BYTES = 3


def size_in_memory(directory: Path, engine: str, precision: str) -> int:
    """Bytes of a checkpoint's model: its parameters, each of so many bytes as its precision takes.

    It is reckoned, not measured: while one model is loaded others allocate too. Raises CheckpointError.
    """
    if engine == NULL:
        return 0
    is_full = precision == FLOAT32.name or engine == "tensorflow"
    return count_parameters(directory) * (_FLOAT32_BYTES if is_full else _LOWER_BYTES)
