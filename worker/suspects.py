"""What to do with a chunk whose workers keep dying, before it takes this one along."""

import structlog

from broker.doorbell import ring
from db.claims import Claim, fail_chunk
from db.rings import Ring
from db.suspects import quarantine, split_chunk
from worker import metrics
from worker.context import WorkerContext
from worker.lease import Heartbeat

log = structlog.get_logger()


def end_suspect(context: WorkerContext, claim: Claim, heartbeat: Heartbeat) -> bool:
    """Split, quarantine or fail a chunk that cost as many workers as it may; return whether it is ended.

    Raises LeaseLost.
    """
    if claim.deaths < context.settings.max_attempts:
        return False
    log.warning("chunk is suspect", action="chunk_suspect", job=claim.job_id, chunk=claim.chunk_id, deaths=claim.deaths)
    if claim.kind == "finetune":
        reason = f"the worker died {claim.deaths} times while training; it may need more memory than there is"
        heartbeat.commit(lambda connection: fail_chunk(connection, claim, reason))
        metrics.note_end(claim, "failed")
    elif len(claim.review_ids) == 1:
        reason = f"the worker died {claim.deaths} times while scoring this review alone"
        heartbeat.commit(lambda connection: quarantine(connection, claim, reason))
        metrics.note_end(claim, "quarantined")
    else:
        _split(context, claim, heartbeat)
    return True


def _split(context: WorkerContext, claim: Claim, heartbeat: Heartbeat) -> None:
    rings: list[Ring] = []
    heartbeat.commit(lambda connection: rings.extend(split_chunk(connection, claim, deaths_left=1)))
    metrics.note_end(claim, "split")
    ring(context.app, rings)
