"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(JSONB(), "postgresql")
Time = sa.DateTime(timezone=True)


def _column(name: str, type_: sa.types.TypeEngine, null: bool = False) -> sa.Column:
    return sa.Column(name, type_, nullable=null)


def _reference(name: str, table: str, null: bool = False, cascade: bool = False) -> sa.Column:
    target = sa.ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else None)
    return sa.Column(name, Id, target, nullable=null)


def _create(name: str, *parts: sa.schema.SchemaItem, index: tuple[tuple[str, ...], ...] = ()) -> None:
    op.create_table(name, *parts)
    for columns in index:
        op.create_index(f"ix_{name}_{'_'.join(columns)}", name, list(columns))


def upgrade() -> None:
    """Make every table."""
    _reviews()
    _models()
    _schedules()
    _jobs()
    _chunks()
    _examples()
    _failures()
    _predictions()
    _training_metrics()


def downgrade() -> None:
    """Drop every table, the referring ones first."""
    for name in (
        "training_metrics",
        "predictions",
        "failures",
        "examples",
        "chunks",
        "jobs",
        "schedules",
        "models",
        "reviews",
    ):
        op.drop_table(name)


def _reviews() -> None:
    _create(
        "reviews",
        sa.Column("id", Id, primary_key=True),
        _column("source", sa.String(512)),
        _column("external_id", sa.String(512)),
        _column("text", sa.Text()),
        _column("text_pair", sa.Text(), null=True),
        _column("text_hash", sa.String(64)),
        _column("metadata", Json, null=True),
        _column("created_at", Time),
        sa.UniqueConstraint("source", "external_id", "text_hash"),
        index=(("text_hash",),),
    )


def _models() -> None:
    _create(
        "models",
        sa.Column("id", Id, primary_key=True),
        _column("name", sa.String(255)),
        _column("version", sa.Integer()),
        _column("base", sa.Text(), null=True),
        _column("kind", sa.String(16)),
        _column("family", sa.String(32)),
        _column("labels", Json),
        _column("problem_type", sa.String(32)),
        _column("max_tokens", sa.Integer()),
        _column("digest", sa.String(64)),
        _column("path", sa.Text()),
        _column("metrics", Json),
        _column("aliases", Json),
        _column("created_at", Time),
        sa.UniqueConstraint("name", "version"),
        index=(("digest",),),
    )


def _schedules() -> None:
    _create(
        "schedules",
        sa.Column("id", Id, primary_key=True),
        _column("name", sa.String(255)),
        _column("cron", sa.String(255)),
        _column("timezone", sa.String(64)),
        _column("command", sa.String(32)),
        _column("params", Json),
        _column("enabled", sa.Boolean()),
        _column("last_run_at", Time, null=True),
        _column("next_run_at", Time, null=True),
        sa.UniqueConstraint("name"),
    )


def _jobs() -> None:
    _create(
        "jobs",
        sa.Column("id", Id, primary_key=True),
        _column("kind", sa.String(16)),
        _column("state", sa.String(16)),
        _reference("model_id", "models", null=True),
        _column("params", Json),
        _column("priority", sa.String(16)),
        _column("total", sa.Integer()),
        _column("rejected", sa.Integer()),
        _column("error", sa.Text(), null=True),
        _column("created_at", Time),
        _column("started_at", Time, null=True),
        _column("finished_at", Time, null=True),
        _reference("schedule_id", "schedules", null=True),
        index=(("state",),),
    )


def _chunks() -> None:
    _create(
        "chunks",
        sa.Column("id", Id, primary_key=True),
        _reference("job_id", "jobs", cascade=True),
        _column("position", sa.Integer()),
        _column("state", sa.String(16)),
        _column("attempt", sa.Integer()),
        _column("lease_owner", sa.String(255), null=True),
        _column("lease_expires_at", Time, null=True),
        _column("next_attempt_at", Time, null=True),
        _column("size", sa.Integer()),
        _column("scored", sa.Integer()),
        _column("reused", sa.Integer()),
        _column("failed", sa.Integer()),
        _column("error", sa.Text(), null=True),
        _column("review_ids", Json),
        sa.UniqueConstraint("job_id", "position"),
        index=(("state", "next_attempt_at"),),
    )


def _examples() -> None:
    _create(
        "examples",
        _reference("job_id", "jobs", cascade=True),
        _reference("review_id", "reviews"),
        _column("label", sa.String(255)),
        _column("split", sa.String(16)),
        sa.PrimaryKeyConstraint("job_id", "review_id"),
    )


def _failures() -> None:
    _create(
        "failures",
        sa.Column("id", Id, primary_key=True),
        _reference("job_id", "jobs", cascade=True),
        _reference("review_id", "reviews", null=True),
        _column("row", sa.Integer(), null=True),
        _column("external_id", sa.String(512), null=True),
        _column("stage", sa.String(16)),
        _column("reason", sa.Text()),
        _column("created_at", Time),
        index=(("job_id",),),
    )


def _predictions() -> None:
    _create(
        "predictions",
        _reference("review_id", "reviews"),
        _reference("model_id", "models"),
        _reference("job_id", "jobs"),
        _column("label", sa.String(255)),
        _column("score", sa.Double()),
        _column("margin", sa.Double(), null=True),
        _column("probabilities", Json),
        _column("tokens", sa.Integer()),
        _column("truncated", sa.Boolean()),
        _column("scored_at", Time),
        sa.PrimaryKeyConstraint("review_id", "model_id"),
        index=(("model_id", "label", "score"), ("model_id", "margin"), ("job_id",)),
    )


def _training_metrics() -> None:
    _create(
        "training_metrics",
        sa.Column("id", Id, primary_key=True),
        _reference("job_id", "jobs", cascade=True),
        _column("epoch", sa.Integer()),
        _column("step", sa.Integer()),
        _column("name", sa.String(64)),
        _column("value", sa.Double()),
        _column("at", Time),
        index=(("job_id", "step"),),
    )
