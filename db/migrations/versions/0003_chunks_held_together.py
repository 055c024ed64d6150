"""What inferring a chunk takes is noted with its end, and small chunks are held together."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Columns that may be empty, and those that are zero for chunks of before.
_EMPTY: dict[str, Any] = {"lead_id": Id, "device": sa.String(255)}
_ZERO: dict[str, Any] = {
    "alone": sa.Boolean(),
    "device_s": sa.Double(),
    "tokens": sa.Integer(),
    "batch_tokens": sa.Integer(),
}


def upgrade() -> None:
    """Add the columns."""
    # See 0002 for the place of a column.
    anew = op.get_bind().dialect.name == "sqlite"
    place: dict[str, Any] = {"insert_before": "size"} if anew else {}
    with op.batch_alter_table("chunks", recreate="always" if anew else "never") as chunks:
        for name, kind in _EMPTY.items():
            chunks.add_column(sa.Column(name, kind, nullable=True), **place)
        for name, kind in _ZERO.items():
            zero = sa.false() if name == "alone" else sa.text("0")
            chunks.add_column(sa.Column(name, kind, nullable=False, server_default=zero), **place)
    with op.batch_alter_table("chunks") as chunks:
        for name in _ZERO:
            chunks.alter_column(name, server_default=None)


def downgrade() -> None:
    """Take them away again."""
    with op.batch_alter_table("chunks") as chunks:
        for name in (*_EMPTY, *_ZERO):
            chunks.drop_column(name)
