"""What people say is right of a review, having seen what a model says of it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "corrections",
        sa.Column("review_id", Id, sa.ForeignKey("reviews.id", ondelete="CASCADE"), nullable=False),
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("annotator", sa.String(255), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("predicted", sa.String(255)),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("review_id", "model_id", "annotator"),
    )
    op.create_index("ix_corrections_model_id_corrected_at", "corrections", ["model_id", "corrected_at"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("corrections")
