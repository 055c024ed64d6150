"""Acts that take turns in one thread: each does a little, and says in how many seconds it wants to go on."""

import heapq
import itertools
import time
from collections.abc import Iterable, Iterator

#: An act: what it yields is the pause until its next step, in seconds.
Act = Iterator[float]


def play(acts: Iterable[Act], seconds: float) -> None:
    """Play the acts for that long, or until all have ended."""
    end, numbers = time.monotonic() + seconds, itertools.count()
    waiting = [(time.monotonic(), next(numbers), act) for act in acts]
    heapq.heapify(waiting)
    while waiting and waiting[0][0] < end:
        due, _, act = heapq.heappop(waiting)
        time.sleep(max(0.0, due - time.monotonic()))
        pause_s = next(act, None)
        if pause_s is not None:
            # A step that took long is not made up for.
            heapq.heappush(waiting, (max(due, time.monotonic()) + pause_s, next(numbers), act))
