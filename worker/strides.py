"""How many full chunks of a job are claimed at once: more than one where a model is done with one in a moment."""

from collections.abc import Sequence

from db.claims import Claim

#: What is claimed at once should take no longer: for as long other jobs wait for their turn.
_MOMENT_S = 0.3
_MOST_CHUNKS = 8
#: Of jobs beyond so many, those met longest ago are forgotten, and begin with one chunk again.
_MOST_JOBS = 100


class Strides:
    """By job, how many of its chunks are worked on at once; one until it is known how long one takes.

    Claiming, committing and a message take their time for each claim, however large it is, and a commit writes the
    same pages of an index once for all rows of it: with a model that answers at once, that is a quarter of the work.
    """

    def __init__(self) -> None:
        self._by_job: dict[int, int] = {}

    def of(self, job_id: int) -> int:
        """Chunks to claim at once, from 1 up."""
        return self._by_job.get(job_id, 1)

    def note(self, claims: Sequence[Claim], inferred: int, seconds: float) -> None:
        """Those claims, all of one job, took so long, and so many of their reviews were inferred."""
        if not inferred or len({claim.job_id for claim in claims}) > 1:
            return
        # Reviews that were scored before took no time, and the next ones may be new.
        whole_s = seconds * sum(len(claim.review_ids) for claim in claims) / inferred
        fitting = int(len(claims) * _MOMENT_S / whole_s) if whole_s else _MOST_CHUNKS
        self._by_job.pop(claims[0].job_id, None)
        self._by_job[claims[0].job_id] = max(1, min(fitting, 2 * len(claims), _MOST_CHUNKS))
        for forgotten in list(self._by_job)[:-_MOST_JOBS]:
            # Another task may be forgetting it, too.
            self._by_job.pop(forgotten, None)
