"""How Alembic runs the steps: within the connection, and the transaction, that ``migrate`` hands over."""

from __future__ import annotations

from alembic import context

from sandbox.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
