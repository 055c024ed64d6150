"""How much of a text a prediction is made on."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of what was scored before, all that did not fit was cut."""
    op.add_column("predictions", sa.Column("reading", sa.String(16), nullable=False, server_default="whole"))
    op.add_column("predictions", sa.Column("windows", sa.Integer(), nullable=False, server_default="1"))
    predictions = sa.table("predictions", sa.column("reading", sa.String), sa.column("truncated", sa.Boolean))
    op.execute(predictions.update().where(predictions.c.truncated).values(reading="truncate"))


def downgrade() -> None:
    """Take them away again, and what only they tell apart from a text that was cut: its job scores it anew."""
    predictions = sa.table("predictions", sa.column("reading", sa.String))
    op.execute(predictions.delete().where(predictions.c.reading.in_(("head-tail", "window"))))
    op.drop_column("predictions", "windows")
    op.drop_column("predictions", "reading")
