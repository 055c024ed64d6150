"""Which precision serves a model, and the figures that decided it."""

import sqlalchemy as sa
from alembic import op

from db.tables import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "precisions",
        sa.Column("model_id", Id, sa.ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("device", sa.String(255), nullable=False),
        sa.Column("source", sa.String(512), nullable=False),
        sa.Column("asked", sa.String(16), nullable=False),
        sa.Column("build", sa.String(64), nullable=False),
        sa.Column("chosen", sa.String(32), nullable=False),
        sa.Column("rungs", Json, nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "device", "source", "asked"),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("precisions")
