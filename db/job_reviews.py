"""Which predictions are on a job's reviews, whichever job they are of: a review may have been scored by another before.

All ids of a job can be gathered first, which takes seconds where there are millions. A page of them is read faster by
asking each prediction, in the order wanted, whether it is the job's: most are of that very job and say so themselves.
The others are looked up in the chunks, of which one or two can have the review.
"""

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from db.dialect import holds, review_ids_of_job
from db.tables import Chunk, Job, Prediction

#: Rows of a job whose ids are gathered in no time.
_FEW_ROWS = 20_000
#: How many of its chunks may have a review, by the smallest and largest ids in each, until gathering them is faster.
_MOST_CHUNKS = 4


def is_of_job(connection: Connection, job_id: int, page: bool) -> ColumnElement[bool]:
    """Whether a prediction is on a review of the job.

    `page` tells that only the first are wanted of those that an index has in their order, without the rest.
    """
    widths = func.coalesce(func.sum(Chunk.last_id - Chunk.first_id + 1), 0)
    extent = select(widths, func.min(Chunk.first_id), func.max(Chunk.last_id)).where(Chunk.job_id == job_id)
    rows = connection.scalar(select(Job.total).where(Job.id == job_id)) or 0
    covered, first, last = connection.execute(extent).one()
    if not page or rows <= _FEW_ROWS or covered > _MOST_CHUNKS * rows:
        return Prediction.review_id.in_(review_ids_of_job(connection, job_id))
    within = Chunk.first_id <= Prediction.review_id, Chunk.last_id >= Prediction.review_id
    has_it = holds(connection, Chunk.review_ids, Prediction.review_id)
    held = select(Chunk.id).where(Chunk.job_id == job_id, *within, has_it)
    return and_(Prediction.review_id.between(first, last), or_(Prediction.job_id == job_id, held.exists()))
