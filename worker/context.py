"""What every task of one worker process shares."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from celery import Celery

from db.claims import Claim
from db.database import Database
from worker.last_minute import DeviceLock, ReviewRate
from worker.models import LoadedModels
from worker.owners import this_owner
from worker.settings import WorkerSettings
from worker.strides import Strides
from worker.turns import Turns


@dataclass(slots=True)
class WorkerContext:
    """One process: its database, doorbell, loaded models, and the one device it works on.

    `device` is held by whichever task infers or trains, so that the process can claim and tokenize
    the next chunk, and write the last one, while the device works; small work may come in between, in the same
    thread. `reviews` counts what is inferred. `turns` keep suspects apart from the rest, `strides` tell how
    many chunks of a job are claimed at once.
    `stopping` is set on SIGTERM. `held` are the claims under work, by chunk.
    """

    database: Database
    app: Celery
    settings: WorkerSettings
    models: LoadedModels
    owner: str = field(default_factory=this_owner)
    device: DeviceLock = field(default_factory=DeviceLock)
    reviews: ReviewRate = field(default_factory=ReviewRate)
    turns: Turns = field(default_factory=Turns)
    strides: Strides = field(default_factory=Strides)
    stopping: threading.Event = field(default_factory=threading.Event)
    held: dict[int, Claim] = field(default_factory=dict)

    @contextmanager
    def holding(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Count the claims as held while the block runs."""
        self.held.update({claim.chunk_id: claim for claim in claims})
        try:
            yield
        finally:
            for claim in claims:
                # What was given back may be held again by the other task.
                if self.held.get(claim.chunk_id) is claim:
                    del self.held[claim.chunk_id]
