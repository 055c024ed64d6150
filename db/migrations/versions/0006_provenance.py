"""Where a version comes from: what it was trained on, how, with what and on what."""

import sqlalchemy as sa
from alembic import op

from db.tables import Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of versions of before nothing was recorded."""
    op.add_column("models", sa.Column("provenance", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("models", "provenance")
