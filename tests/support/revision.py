"""``python -m tests.support.revision NAME``: writes the next migration, from what the tables say now.

It brings an empty store to the last step, compares it with ``schema.metadata``, and writes the difference as
``rNUMBER_NAME.py``, to be read and completed by hand.  ``python -m tests.support.revision first`` writes the first
step anew: only as long as nothing was released.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from sandbox.store import migrate
from sandbox.store.schema import metadata

FIRST = "first"
HEAD = '''"""The {words}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
{imports}
revision = "{number:04}"
down_revision = {before}


def upgrade() -> None:
    """{does}"""
    {body}
'''
LAST = """
    op.execute("INSERT INTO log_head (id, size) VALUES (0, 0)")
    for statement in fences.statements(op.get_bind().dialect.name):
        op.execute(statement)
"""


def difference(revision: str | None) -> str:
    """What an empty store at this revision lacks, as statements of ``op``."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/store.db")
        with engine.begin() as connection:
            if revision is not None:
                migrate.upgrade(connection, head=revision)
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            made = produce_migrations(context, metadata).upgrade_ops
        engine.dispose()
    if made is None or made.is_empty():
        sys.exit("the tables are as the migrations make them")
    return render_python_code(made)


def write(name: str) -> Path:
    """Write the step and bring it into form."""
    if name == FIRST:
        number, before, body = 1, None, difference(None) + LAST
    else:
        number, before, body = int(migrate.HEAD) + 1, f'"{migrate.HEAD}"', difference(migrate.HEAD)
    words = "first schema" if name == FIRST else name.replace("_", " ")
    imports = "\nfrom sandbox.store import fences\n" if name == FIRST else ""
    does = (
        "Make the tables, the one row of the log's head, and the fences." if name == FIRST else "Change it."
    )
    lines = [line for line in body.splitlines() if "Alembic" not in line]
    text = HEAD.format(
        words=words, imports=imports, number=number, before=before, does=does, body="\n".join(lines).strip()
    )
    path = migrate.SCRIPTS / "versions" / f"r{number:04}_{name}.py"
    path.write_text(text, encoding="utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["format", "--quiet"], ["check", "--fix", "--quiet"]):
        subprocess.run([str(ruff), *command, str(path)], check=True)
    return path


if __name__ == "__main__":
    print(write(sys.argv[1]))
