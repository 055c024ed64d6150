"""Alembic migrations, applied by db.schema."""
