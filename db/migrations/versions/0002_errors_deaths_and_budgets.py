"""What went wrong with a chunk is counted apart, lost rings are told by time, and token budgets are remembered."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the table."""
    # SQLite reads past the long last column of a row to reach any that follows, and makes the table anew in any
    # case; a server need not copy millions of rows for a tidy order.
    anew = op.get_bind().dialect.name == "sqlite"
    place: dict[str, Any] = {"insert_before": "size"} if anew else {}
    with op.batch_alter_table("chunks", recreate="always" if anew else "never") as chunks:
        # Chunks of before were rung long ago, and nothing was counted of them.
        long_ago = sa.text("'2000-01-01 00:00:00.000000'")
        chunks.add_column(sa.Column("rung_at", Time, nullable=False, server_default=long_ago), **place)
        for name in ("errors", "deaths"):
            zero = sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))
            chunks.add_column(zero, **place)
    with op.batch_alter_table("chunks") as chunks:
        for name in ("rung_at", "errors", "deaths"):
            chunks.alter_column(name, server_default=None)
    op.create_table(
        "token_budgets",
        sa.Column("model_id", Id, sa.ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("device", sa.String(255), nullable=False),
        sa.Column("configured", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("updated_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("model_id", "device"),
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("token_budgets")
    with op.batch_alter_table("chunks") as chunks:
        for name in ("deaths", "errors", "rung_at"):
            chunks.drop_column(name)
