"""Brings a store to the schema that this program knows, in the transaction that asks for it.

Invariants: a store whose revision this program does not know is refused untouched; an older one is brought
here step by step, or an error undoes every step with the caller's transaction (both stores can undo DDL).

The steps are Alembic's, in ``migrations/versions``; Alembic is only imported where there is a step to take.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

from sandbox.errors import Code, refuse

HEAD: Final = "0001"
"""The revision of the schema that this program reads and writes."""

SCRIPTS: Final = Path(__file__).parent / "migrations"

_VERSION: Final = table("alembic_version", column("version_num"))


def revision(connection: Connection) -> str | None:
    """The revision of an open store, or ``None`` if it has no tables yet."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def upgrade(connection: Connection, scripts: Path = SCRIPTS, head: str = HEAD) -> None:
    """Take the steps that are missing up to ``head``.  Refuses with ``Code.STORE`` what is not known."""
    found = revision(connection)
    if found == head:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise refuse(Code.STORE, "its schema is of another version of this program")
    config.attributes["connection"] = connection
    command.upgrade(config, head)
