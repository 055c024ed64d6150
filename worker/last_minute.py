"""What this process did in the last minute: how long its device was at work, and how many reviews it inferred."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

WINDOW_S = 60.0
#: Less than this is no time to tell a rate from.
_SHORTEST_S = 1.0

#: Seconds of a clock that never goes back.
Clock = Callable[[], float]


class DeviceLock:
    """Held by whichever task infers or trains; may be taken again by who holds it. Knows how long it was held."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._made_at = clock()
        self._depth = 0
        self._since: float | None = None
        self._spans: deque[tuple[float, float]] = deque()
        self._counting = threading.Lock()
        self._counted_until = 0.0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._since = self._clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            now = self._clock()
            self._spans.append((self._since or now, now))
            self._since = None
            while self._spans[0][1] < now - WINDOW_S:
                self._spans.popleft()
        self._lock.release()

    def count(self, since: float, until: float) -> float:
        """The seconds between the two that were not counted before: batches of two tasks may be computed at once."""
        with self._counting:
            fresh_s = max(0.0, until - max(since, self._counted_until))
            self._counted_until = max(self._counted_until, until)
        return fresh_s

    def busy(self) -> float:
        """The share, 0 to 1, of the last minute that it was held; of its whole life while that is shorter."""
        now = self._clock()
        from_, since = now - _window_s(now, self._made_at), self._since
        spans = [*self._spans, *([] if since is None else [(since, now)])]
        held_s = sum(max(0.0, min(end, now) - max(began, from_)) for began, end in spans)
        # Both are read while others write them: a span that ends just now may be counted twice.
        return min(1.0, held_s / (now - from_))


class ReviewRate:
    """How many reviews a second were inferred in the last minute."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._made_at = clock()
        self._noted: deque[tuple[float, int]] = deque()

    def note(self, reviews: int) -> None:
        """So many were inferred just now."""
        now = self._clock()
        self._noted.append((now, reviews))
        while self._noted[0][0] < now - WINDOW_S:
            self._noted.popleft()

    def per_s(self) -> float:
        """The mean of the last minute; of its whole life while that is shorter."""
        now = self._clock()
        window_s = _window_s(now, self._made_at)
        return sum(reviews for at, reviews in list(self._noted) if at >= now - window_s) / window_s


def _window_s(now: float, made_at: float) -> float:
    return min(WINDOW_S, max(_SHORTEST_S, now - made_at))
