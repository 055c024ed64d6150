"""What jobs came to, counted as their chunks end; indexes that tell how far they are and what reviews they have."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: Of each row of a chunk that is done, the prediction that its review has by the job's model. A review that failed may
#: have one of before, which is none of the job's.
_COUNTED = """
    INSERT INTO job_counts (job_id, counted, value, count)
    SELECT jobs.id, about.counted, CASE about.counted WHEN 'label' THEN label ELSE reading END AS said, count(*)
    FROM chunks JOIN jobs ON jobs.id = chunks.job_id JOIN {rows} ON true
    JOIN predictions ON predictions.review_id = {review_id} AND predictions.model_id = jobs.model_id
    CROSS JOIN (SELECT 'label' AS counted UNION ALL SELECT 'reading') AS about
    WHERE jobs.kind = 'score' AND chunks.state = 'done' AND (jobs.id, predictions.review_id) NOT IN
    (SELECT job_id, review_id FROM failures WHERE stage = 'score' AND review_id IS NOT NULL)
    GROUP BY jobs.id, about.counted, said
"""
_EXTENT = "UPDATE chunks SET {column} = (SELECT coalesce({which}({review_id}), 0) FROM {rows})"
#: By table, the indexes of before, and the columns that are added to them.
_WIDER = [
    ("chunks", ("job_id", "state", "position"), ("scored", "reused", "failed")),
    ("predictions", ("model_id", "label", "score"), ("review_id",)),
    ("predictions", ("model_id", "margin"), ("review_id",)),
]
_SPELLED = {
    "sqlite": {
        "rows": "json_each(chunks.review_ids) AS one",
        "review_id": "one.value",
    },
    "postgresql": {
        "rows": "jsonb_array_elements_text(chunks.review_ids) AS one(value)",
        "review_id": "CAST(one.value AS bigint)",
    },
}


def upgrade() -> None:
    """Make the table and count what was scored before; note the extent of chunks, and make the indexes."""
    op.create_table(
        "job_counts",
        sa.Column("job_id", Id, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("counted", sa.String(16), primary_key=True),
        sa.Column("value", sa.String(255), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    for table, before, added in _WIDER:
        _replace_index(table, before, (*before, *added))
    spelled = _SPELLED[op.get_bind().dialect.name]
    for column, which in (("first_id", "min"), ("last_id", "max")):
        op.add_column("chunks", sa.Column(column, Id, nullable=False, server_default="0"))
        op.execute(_EXTENT.format(column=column, which=which, **spelled))
    op.create_index("ix_chunks_job_id_last_id_first_id", "chunks", ["job_id", "last_id", "first_id"])
    op.execute(_COUNTED.format(**spelled))
    # Whoever deletes a review has the database look for what refers to it.
    op.create_index("ix_failures_review_id", "failures", ["review_id"])


def downgrade() -> None:
    """Take all of it away again."""
    op.drop_index("ix_failures_review_id", "failures")
    op.drop_index("ix_chunks_job_id_last_id_first_id", "chunks")
    op.drop_column("chunks", "last_id")
    op.drop_column("chunks", "first_id")
    for table, before, added in _WIDER:
        _replace_index(table, (*before, *added), before)
    op.drop_table("job_counts")


def _replace_index(table: str, before: Sequence[str], after: Sequence[str]) -> None:
    op.drop_index("_".join(("ix", table, *before)), table)
    op.create_index("_".join(("ix", table, *after)), table, after)
