"""How TensorFlow is set up wherever this room uses it."""

import os

from worker.backend import tf
from worker.cpu import cpu_flags
from worker.parallelism import Threads, share_cores


def test_operations_have_the_threads_that_suit_this_cpu() -> None:
    threads = tf.config.threading
    told = Threads(threads.get_inter_op_parallelism_threads(), threads.get_intra_op_parallelism_threads())
    assert told == share_cores(len(os.sched_getaffinity(0)), cpu_flags())
