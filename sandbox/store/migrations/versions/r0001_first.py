"""The first schema: ledger, answers, log, people, freezes."""

from __future__ import annotations

from alembic import op
from sqlalchemy import insert

from sandbox.store import fences
from sandbox.store.schema import log_head, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, the one row of the log's head, and the fences."""
    connection = op.get_bind()
    metadata.create_all(connection)
    connection.execute(insert(log_head).values(id=0, size=0))
    for statement in fences.statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
