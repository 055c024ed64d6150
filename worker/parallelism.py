"""How TensorFlow shares a process's cores among the operations of a graph."""

from collections.abc import Container
from typing import NamedTuple

#: More parts of a batch of 32 reviews would be of a few each. Only two cores were measured: three and four parts won
#: nothing there.
_MOST_AT_ONCE = 4


class Threads(NamedTuple):
    """How many operations are computed at the same time, and on how many cores each may be."""

    at_once: int
    each: int


def share_cores(cores: int, cpu_flags: Container[str]) -> Threads:
    """What suits a CPU with these instructions, as worker.cpu names them.

    An operation on a batch of reviews is over so soon that to share it among cores costs about what it saves where
    products are as fast as AMX makes them: on two such cores a training step of MiniLM took as long as on one. There
    several operations run at once, on a core each, and a batch is computed in parts, see worker.checkpoints.parts.

    Elsewhere one operation runs after the other, each on all cores. On an EPYC with AVX-512, TensorFlow 2.21 with
    oneDNN broke the heap of 9 of 132 processes that trained with two at once, and of none with one.
    """
    at_once = min(cores, _MOST_AT_ONCE) if "amx_bf16" in cpu_flags else 1
    return Threads(at_once, -(-cores // at_once))
