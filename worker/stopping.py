"""How a worker process ends when it is told to: at its next batch, in any case soon, or at once."""

import os
import threading
import time

import structlog

from db.claims import give_back, still_held
from db.errors import DatabaseError
from worker.context import WorkerContext
from worker.logs import ids_of
from worker.signs_of_life import SignsOfLife

#: Scoring must be over within ten seconds of SIGTERM. A thread that loads a model or waits for a dead
#: database cannot be interrupted, so after this long its lease is given back over its head.
_SCORING_GRACE_S = 7.0
#: Training ends its step and writes its state to disk.
_TRAINING_GRACE_S = 60.0
#: How long the database is waited for then; leases that it does not take back run out by themselves.
_GIVE_BACK_S = 1.5
_LOOK_S = 0.1

log = structlog.get_logger()


class Stopper:
    """Acts on the signals of one worker process."""

    def __init__(self, context: WorkerContext, signs: SignsOfLife) -> None:
        self._context = context
        self._signs = signs

    def on_signal(self, **_: object) -> None:
        """The first signal asks every chunk in hand to end at its next batch; the second ends the process."""
        if self._context.stopping.is_set():
            log.warning("stopped at once", action="stopped_at_once", owner=self._context.owner)
            # No cleaning up, as after a kill -9: leases run out, and nothing half-written was committed.
            os._exit(1)
        self._context.stopping.set()
        log.info("worker stops", action="worker_stops", owner=self._context.owner)
        threading.Thread(target=self._end_in_time, name="stopper", daemon=True).start()

    def _end_in_time(self) -> None:
        began = time.monotonic()
        while time.monotonic() - began < self._grace_s():
            time.sleep(_LOOK_S)
        # In a thread of its own: the database may be what hangs.
        giver = threading.Thread(target=self._leave, name="giver", daemon=True)
        giver.start()
        giver.join(_GIVE_BACK_S)
        log.warning("worker stopped in mid-work", action="worker_stopped_late", owner=self._context.owner)
        os._exit(0)

    def _grace_s(self) -> float:
        trains = any(claim.kind == "finetune" for claim in list(self._context.held.values()))
        return _TRAINING_GRACE_S if trains else _SCORING_GRACE_S

    def _leave(self) -> None:
        self._give_all_back()
        self._signs.end()

    def _give_all_back(self) -> None:
        claims = list(self._context.held.values())
        try:
            with self._context.database.write() as connection:
                held = still_held(connection, claims, lock=True)
                for claim in held:
                    give_back(connection, claim)
        except DatabaseError as error:
            log.warning("chunks left to their leases", action="chunks_left", **ids_of(claims), reason=str(error))
            return
        for claim in held:
            log.info("chunk given back", action="chunk_given_back", **ids_of([claim]))
