"""The worker processes that are alive; and devices are called DEVICE@HOST, as those processes are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(JSONB(), "postgresql")

_NAMING_DEVICES = ("chunks", "token_budgets", "precisions")


def upgrade() -> None:
    """Add the table; of HOST/DEVICE make DEVICE@HOST."""
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(255), nullable=False),
        sa.Column("queues", Json, nullable=False),
        sa.Column("engine", sa.String(64), nullable=False),
        sa.Column("models", Json, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("reviews_per_s", sa.Double(), nullable=False),
        sa.Column("busy", sa.Double(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )
    _rename("/", "@")


def downgrade() -> None:
    """Take the table away again, and call devices as before."""
    op.drop_table("workers")
    _rename("@", "/")


def _rename(mark: str, new_mark: str) -> None:
    for name in _NAMING_DEVICES:
        table = sa.table(name, sa.column("device", sa.String()))
        before, after = _parts(table.c.device, mark)
        op.execute(sa.update(table).where(table.c.device.contains(mark)).values(device=after + new_mark + before))


def _parts(name: sa.ColumnElement[str], mark: str) -> tuple[sa.ColumnElement[str], sa.ColumnElement[str]]:
    """What stands before the mark, and what after it; it stands in no host's name and in no device's."""
    if op.get_bind().dialect.name == "postgresql":
        return sa.func.split_part(name, mark, 1), sa.func.split_part(name, mark, 2)
    place = sa.func.instr(name, mark)
    return sa.func.substr(name, 1, place - 1), sa.func.substr(name, place + 1)
