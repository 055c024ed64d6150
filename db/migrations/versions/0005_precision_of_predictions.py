"""In which precision a prediction was computed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was scored before was scored in float32 or is not known better."""
    op.add_column("predictions", sa.Column("precision", sa.String(32), nullable=False, server_default="float32"))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("predictions", "precision")
