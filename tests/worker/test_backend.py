"""How TensorFlow is set up wherever this room uses it."""

import os

from worker.backend import tf


def test_operations_run_one_after_the_other_each_on_all_cores() -> None:
    # Two of oneDNN's small products at the same time break the heap now and then: a training died of it.
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert tf.config.threading.get_intra_op_parallelism_threads() == len(os.sched_getaffinity(0))
