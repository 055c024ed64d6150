"""A real worker process with one fault at one place: `python -m tests.faults.faulty_worker FAULT`.

Only what no signal from outside can hit is done here: the instant between two statements, a crash in native
code that one review causes, and an allocation that fails at the same batches on every machine.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from db.claims import Claim
from db.database import Database
from worker import lease, process, supervisor
from worker.engines.base import Batch
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.tensorflow import TensorFlowEngine
from worker.lease import Heartbeat

Write = Callable[[Connection], None]


def pause_before_commit() -> None:
    """Stop, as by SIGSTOP, with everything inferred and nothing written; then trust in the lease that was.

    The process's own clock is left out on purpose: what refuses this zombie must be the database.
    """
    commit, transaction = Heartbeat.commit, Database.write
    writing = threading.RLock()

    @contextmanager
    def one_at_a_time(self: Database) -> Iterator[Connection]:
        with writing, transaction(self) as connection:
            yield connection

    def paused(self: Heartbeat, write: Write) -> None:
        # No thread is in the middle of a write: stopped there, it would keep SQLite locked for everybody.
        with writing:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.2)  # The kernel stops this thread a little later.
        commit(self, write)

    Database.write = one_at_a_time  # type: ignore[method-assign]
    Heartbeat.commit = paused  # type: ignore[method-assign]
    Heartbeat._check_lease = lambda self: None  # type: ignore[method-assign]


def trust_in_the_lease() -> None:
    """Never look at its own clock, and never hear that a lease is lost: its commits come, however late they are."""
    Heartbeat._check_lease = lambda self: None  # type: ignore[method-assign]


def stop_in_a_transaction() -> None:
    """Stop for good, as by SIGSTOP, in the middle of a lease's renewal: the chunk's row is locked by then."""
    renew = lease.renew_leases

    def stopped(connection: Connection, claims: Sequence[Claim], lease_s: float, share_done: float) -> list[Claim]:
        held = renew(connection, claims, lease_s, share_done)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)  # The kernel stops this thread a little later.
        return held

    lease.renew_leases = stopped


def die_of_one_word() -> None:
    """Supervise workers that are killed by any batch with the poison word, as by a crash in native code."""
    supervisor._LONGEST_PAUSE_S = 0.5
    _supervise("mortal")


def mortal() -> None:
    """Die, as by a crash in native code, of any batch with the id that only the poison word has."""
    logits = TensorFlowEngine.logits

    def fatal(self: TensorFlowEngine, batch: Batch) -> object:
        if batch.token_ids.max() >= POISON_ID:
            os.kill(os.getpid(), signal.SIGKILL)
        return logits(self, batch)

    TensorFlowEngine.logits = fatal  # type: ignore[assignment,method-assign]


def small_memory() -> None:
    """Supervise workers for which any batch of more than a few tokens needs more memory than there is.

    The error is TensorFlow's own: its allocator is really asked for more than the machine has.
    """
    _supervise("out-of-memory")


def _supervise(fault: str) -> None:
    """Run `reviewmill worker`, each of its processes with that fault."""
    supervisor.PROCESS = [sys.executable, "-m", "tests.faults.faulty_worker", fault]
    from cli.main import main

    main(["worker", "--devices", "cpu", "--queues", "score"])


def out_of_memory() -> None:
    """Let batches of more than FITTING_TOKENS ask TensorFlow for an exabyte."""
    logits = TensorFlowEngine.logits

    def greedy(self: TensorFlowEngine, batch: Batch) -> object:
        if batch.token_ids.size > FITTING_TOKENS:
            import tensorflow as tf

            tf.zeros([2**58])
        return logits(self, batch)

    TensorFlowEngine.logits = greedy  # type: ignore[assignment,method-assign]


def hang_in_a_batch() -> None:
    """Never come back from the first batch, as native code may that waits for a device."""
    TensorFlowEngine.logits = lambda self, batch: _hang()  # type: ignore[assignment,method-assign]


def hang_in_the_streams() -> None:
    """The same of an engine that computes several batches at once, none of which ends."""
    os.environ["REVIEWMILL_ENGINE"] = "openvino"
    OpenVINOEngine.start = lambda self, batch: _hang  # type: ignore[assignment,method-assign]


def _hang() -> None:
    sys.stderr.write(f"{HANGS}\n")
    time.sleep(3600)


#: What a batch says that never ends.
HANGS = "this batch never ends"

#: What a worker of small memory can take.
FITTING_TOKENS = 1_000

#: The id that the poisoned checkpoint's tokenizer gives to WORD; every other word's is smaller.
POISON_ID = 218
FAULTS = {
    "pause-before-commit": pause_before_commit,
    "trust-in-the-lease": trust_in_the_lease,
    "stop-in-a-transaction": stop_in_a_transaction,
    "mortal": mortal,
    "die-of-one-word": die_of_one_word,
    "small-memory": small_memory,
    "out-of-memory": out_of_memory,
    "hang-in-a-batch": hang_in_a_batch,
    "hang-in-the-streams": hang_in_the_streams,
}

if __name__ == "__main__":
    # The faults are TensorFlow's, or stand in for its own.
    os.environ["REVIEWMILL_ENGINE"] = "tensorflow"
    FAULTS[sys.argv[1]]()
    process.main(sys.argv[2:])
