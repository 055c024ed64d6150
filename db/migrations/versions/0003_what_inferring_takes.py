"""What inferring a chunk takes is noted with its end."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: Columns that count, and their types: nothing was counted before.
_COUNTS: dict[str, Any] = {"device_s": sa.Double(), "tokens": sa.Integer(), "batch_tokens": sa.Integer()}


def upgrade() -> None:
    """Add the columns."""
    # See 0002 for the place of a column.
    anew = op.get_bind().dialect.name == "sqlite"
    place: dict[str, Any] = {"insert_before": "size"} if anew else {}
    with op.batch_alter_table("chunks", recreate="always" if anew else "never") as chunks:
        chunks.add_column(sa.Column("device", sa.String(255), nullable=True), **place)
        for name, kind in _COUNTS.items():
            chunks.add_column(sa.Column(name, kind, nullable=False, server_default=sa.text("0")), **place)
    with op.batch_alter_table("chunks") as chunks:
        for name in _COUNTS:
            chunks.alter_column(name, server_default=None)


def downgrade() -> None:
    """Take them away again."""
    with op.batch_alter_table("chunks") as chunks:
        for name in ("device", *_COUNTS):
            chunks.drop_column(name)
