"""Examples without a label, which a student learns of its teacher."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the label be absent: an empty one says that none of several labels fits."""
    _make(nullable=True)


def downgrade() -> None:
    """Ask for a label again; examples without one go, for no older version can read them."""
    op.execute("DELETE FROM examples WHERE label IS NULL")
    _make(nullable=False)


def _make(*, nullable: bool) -> None:
    # SQLite cannot change a column: the table is made anew.
    with op.batch_alter_table("examples") as table:
        table.alter_column("label", existing_type=sa.String(255), nullable=nullable)
