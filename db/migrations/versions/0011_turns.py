"""Jobs take turns: when each was last served, and indexes that find its next chunk, and small ones."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_chunks_job_id_state_position": ["job_id", "state", "position"],
    "ix_chunks_state_size": ["state", "size"],
}


def upgrade() -> None:
    """Add the column and the indexes."""
    op.add_column("jobs", sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
    for name, columns in _INDEXES.items():
        op.create_index(name, "chunks", columns)


def downgrade() -> None:
    """Take them away again."""
    for name in _INDEXES:
        op.drop_index(name, "chunks")
    op.drop_column("jobs", "served_at")
