"""Small chunks are worked on between two batches of a large one, so that a small job need not wait until that ends."""

import time
from collections.abc import Sequence

from db.claims import Claim
from worker.chunks import Work, run_small
from worker.context import WorkerContext

#: A chunk is small, for this, where it has at most one in so many of a full chunk's reviews.
_SHARE = 10
#: How often small chunks are looked for.
_LOOK_S = 1.0


class Interludes:
    """Interruptions of the work on some claims, by the thread that holds the device for it."""

    def __init__(self, context: WorkerContext, claims: Sequence[Claim], work: Work) -> None:
        self._context = context
        self._claim = claims[0]
        self._work = work
        self._room = context.settings.chunk_size // _SHARE
        # A suspect has the process to itself. Small work is over soon by itself: there is no interlude within one.
        is_suspect = any(claim.alone or claim.deaths for claim in claims)
        is_small = sum(len(claim.review_ids) for claim in claims) <= self._room
        self._is_welcome = not (is_suspect or is_small)
        self._look_at = 0.0

    def play(self) -> None:
        """Work on small chunks, if any wait and it is time to look."""
        began = time.monotonic()
        # Behind another task that loads a model, or searches for its precision, the device would idle.
        if not self._is_welcome or began < self._look_at or self._context.models.is_loading:
            return
        run_small(self._context, self._claim, self._room, self._work)
        ended = time.monotonic()
        # What comes without end slows the claims down to half their pace, and no further.
        self._look_at = ended + max(_LOOK_S, ended - began)
