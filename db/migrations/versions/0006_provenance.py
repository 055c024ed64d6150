"""Where a version comes from: what it was trained on, how, with what and on what. Examples are found by review."""

import sqlalchemy as sa
from alembic import op

from db.tables import Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the index; of versions of before nothing was recorded."""
    op.add_column("models", sa.Column("provenance", Json, nullable=False, server_default="{}"))
    op.create_index("ix_examples_review_id", "examples", ["review_id"])


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("ix_examples_review_id", "examples")
    op.drop_column("models", "provenance")
