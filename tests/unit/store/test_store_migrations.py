"""Migrations: they make what the tables say, refuse what is newer, and take an older store along or leave it."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError

from sandbox.errors import Code, Refusal
from sandbox.store import migrate
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database, insert_new
from sandbox.store.schema import metadata, uses

NEXT = """
from alembic import op
import sqlalchemy as sa
revision = "0002"
down_revision = "0001"
def upgrade():
    op.add_column("uses", sa.Column("note", sa.String, nullable=False, server_default="as before"))
    op.create_table("more", sa.Column("id", sa.Integer, primary_key=True))
    {last}
"""


def names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The migrations as they are, to which a test may add."""
    return Path(shutil.copytree(migrate.SCRIPTS, tmp_path / "migrations"))


def later(scripts: Path, last: str) -> Path:
    (scripts / "versions" / "r0002_next.py").write_text(NEXT.format(last=last))
    return scripts


def test_the_head_is_the_last_step() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_the_steps_make_what_the_tables_say(empty: str) -> None:
    store = Database(empty)

    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "table" or name in metadata.tables

    with store.read() as connection:
        options: dict[str, Any] = {
            "include_object": ours,
            "compare_type": True,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert migrate.revision(connection) == migrate.HEAD
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(empty: str) -> None:
    store = Database(empty)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = names(connection)
    with pytest.raises(Refusal) as caught:
        Database(empty)
    assert caught.value.code is Code.STORE
    assert "version" in caught.value.reasons[0].subject
    with store.read() as connection:
        assert names(connection) == before
        assert migrate.revision(connection) == "9999"
    store.close()


def test_an_older_store_is_taken_along_with_what_it_holds(empty: str, scripts: Path) -> None:
    store = Database(empty)
    with store.write() as connection:
        insert_new(connection, uses, grant_id="g", day="", used=3)
    with store.write() as connection:
        migrate.upgrade(connection, later(scripts, "pass"), "0002")
    with store.read() as connection:
        assert migrate.revision(connection) == "0002"
        assert connection.execute(text("SELECT used, note FROM uses")).one() == (3, "as before")
        assert "more" in names(connection)
    store.close()


def test_a_step_that_fails_leaves_the_store_as_it_was(empty: str, scripts: Path) -> None:
    store = Database(empty)
    with store.write() as connection:
        insert_new(connection, uses, grant_id="g", day="", used=3)
        before = names(connection)
    broken = later(scripts, "op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(Refusal) as caught, store.write() as connection:
        migrate.upgrade(connection, broken, "0002")
    assert caught.value.code is Code.STORE
    with store.read() as connection:
        assert migrate.revision(connection) == "0001"
        assert names(connection) == before
        assert connection.execute(select(uses)).one() == ("g", "", 3)
    store.close()


FORBIDDEN = (
    "UPDATE audit SET kind = 'other'",
    "DELETE FROM audit",
    "UPDATE audit_personal SET person = 'other'",
    "UPDATE audit_datasets SET dataset = 'other'",
    "DELETE FROM audit_datasets",
    "UPDATE audit_codes SET code = 'other'",
    "DELETE FROM audit_codes",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_store_itself_forbids_changing_the_log(database: Database, statement: str) -> None:
    now = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    AuditLog(database).append(Event.REFUSAL, time=now, person="p", datasets=["d"], codes=["c"])
    with pytest.raises(Refusal) as caught, database.write() as connection:
        connection.execute(text(statement))
    cause = caught.value.__cause__
    assert isinstance(cause, DBAPIError)
    assert "append-only" in str(cause.orig)


@pytest.mark.parametrize("table", ["audit", "audit_datasets", "audit_codes"])
def test_postgresql_forbids_emptying_the_log(server: Any, table: str) -> None:
    store = Database(server.store())
    with pytest.raises(Refusal) as caught, store.write() as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert "append-only" in str(caught.value.__cause__.orig)
    store.close()


def test_the_log_has_no_gap_even_for_who_goes_around_the_code(database: Database) -> None:
    columns = (
        "seq, time, kind, request, organisation, grant_id, datasets, decision, codes, nano, commitment, leaf"
    )
    row = f"INSERT INTO audit ({columns}) VALUES (:seq, 0, '', '', '', '', '[]', '', '[]', 0, '', :leaf)"
    for seq in (1, -1):
        with pytest.raises(Refusal), database.write() as connection:
            connection.execute(text(row), {"seq": seq, "leaf": b""})
    with database.write() as connection:
        connection.execute(text(row), {"seq": 0, "leaf": b""})
