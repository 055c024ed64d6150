"""How fast each job goes: by what was seen of it lately, or else by the mean since it started."""

from collections import deque
from dataclasses import dataclass, field

from cli.dashboard.snapshot import ActiveJob, Snapshot

#: Long enough for chunks that end a few seconds apart, short enough to show that a worker came or went.
_WINDOW_S = 30.0


@dataclass(slots=True)
class Rates:
    """Remembers the last looks at each job."""

    _seen: dict[int, deque[tuple[float, int]]] = field(default_factory=dict)

    def note(self, snapshot: Snapshot) -> None:
        """Remember how far each job is now; one that is no longer there is forgotten."""
        now = snapshot.at.timestamp()
        self._seen = {job.status.id: self._seen.get(job.status.id, deque()) for job in snapshot.jobs}
        for job in snapshot.jobs:
            looks = self._seen[job.status.id]
            # A chunk that was given back takes what was done of it along.
            if looks and job.done < looks[-1][1]:
                looks.clear()
            looks.append((now, job.done))
            while now - looks[0][0] > _WINDOW_S:
                looks.popleft()

    def of(self, job: ActiveJob, snapshot: Snapshot) -> float:
        """Reviews, or steps, a second; 0 where nothing was done yet."""
        looks = self._seen.get(job.status.id)
        if looks and looks[-1][0] > looks[0][0] and looks[-1][1] > looks[0][1]:
            return (looks[-1][1] - looks[0][1]) / (looks[-1][0] - looks[0][0])
        if job.status.started_at is None or not job.done:
            return 0.0
        return job.done / max(1.0, (snapshot.at - job.status.started_at).total_seconds())
