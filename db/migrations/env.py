"""Runs the migrations on the connection that `db.schema.upgrade` holds."""

from alembic import context
from sqlalchemy import text

from db.tables import Base

#: Any number will do, so long as it is only ours.
ADVISORY_LOCK = 7_263_845_519

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
# No begin_transaction here: the caller's transaction covers lock, migrations and revision at once.
context.run_migrations()
