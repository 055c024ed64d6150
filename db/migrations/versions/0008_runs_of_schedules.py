"""Runs of schedules, which until now nothing ran."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "schedule_runs",
        sa.Column("id", Id, primary_key=True),
        sa.Column("schedule_id", Id, sa.ForeignKey("schedules.id", ondelete="CASCADE"), nullable=False),
        sa.Column("scheduled_for", Time, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rescore", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(255), nullable=True),
        sa.Column("lease_expires_at", Time, nullable=True),
        sa.Column("job_id", Id, sa.ForeignKey("jobs.id", ondelete="SET NULL"), nullable=True),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("finished_at", Time, nullable=True),
        sa.UniqueConstraint("schedule_id", "scheduled_for"),
    )
    op.create_index("ix_schedule_runs_schedule_id_id", "schedule_runs", ["schedule_id", "id"])
    op.create_index("ix_schedule_runs_state", "schedule_runs", ["state"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("schedule_runs")
