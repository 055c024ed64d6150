"""Jobs take turns: when each was last served, and an index that finds its next chunk."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0007"
branch_labels = None
depends_on = None

_INDEX = "ix_chunks_job_id_state_position"


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("jobs", sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(_INDEX, "chunks", ["job_id", "state", "position"])


def downgrade() -> None:
    """Take them away again."""
    op.drop_index(_INDEX, "chunks")
    op.drop_column("jobs", "served_at")
