"""Chunks whose workers keep dying: split until one review is left, and that one is quarantined.

A review that makes native code crash, or the kernel end the process for its memory, takes its worker along;
nothing is raised that could be caught. All that shows is a chunk with one death after the other.
"""

from sqlalchemy import Connection, select, update

from db.claims import Claim, finish_chunk, give_back
from db.jobs import add_chunk, settle_job
from db.predictions import ScoreFailure, store_score_failures
from db.rings import Ring
from db.tables import Chunk, Job, Review


def split_chunk(connection: Connection, claim: Claim, deaths_left: int) -> list[Ring]:
    """Cut a held chunk into two halves that anybody may claim, and return the rings for both. Raises LeaseLost.

    A half is split again after `deaths_left` more deaths; one review alone gets all of them anew, so that
    it is not condemned for what other reviews, or a machine, did. Neither is worked on together with other chunks.
    """
    middle = (len(claim.review_ids) + 1) // 2
    first, second = claim.review_ids[:middle], claim.review_ids[middle:]
    give_back(connection, claim)
    # Positions are given one at a time in a job; see settle_job for the kind of lock.
    connection.execute(select(Job.id).where(Job.id == claim.job_id).with_for_update(key_share=True))
    counts = {"review_ids": first, "size": len(first), "deaths": _deaths(claim, first, deaths_left), "alone": True}
    connection.execute(update(Chunk).where(Chunk.id == claim.chunk_id).values(counts))
    added = add_chunk(connection, claim.job_id, second, _deaths(claim, second, deaths_left), alone=True)
    return [Ring(chunk_id, claim.kind, claim.priority) for chunk_id in (claim.chunk_id, added)]


def quarantine(connection: Connection, claim: Claim, reason: str) -> None:
    """End a held chunk of one review with that review as a failure. Raises LeaseLost."""
    (review_id,) = claim.review_ids
    external_id = connection.scalar(select(Review.external_id).where(Review.id == review_id))
    finish_chunk(connection, claim, failed=1)
    store_score_failures(connection, claim.job_id, [ScoreFailure(review_id, external_id, reason)])
    settle_job(connection, claim.job_id)


def _deaths(claim: Claim, half: list[int], deaths_left: int) -> int:
    return 0 if len(half) == 1 else claim.deaths - deaths_left
