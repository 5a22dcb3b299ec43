"""PostgreSQL and MariaDB as they are: round trips, and what becomes of a lock, a lost connection, a denial."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from sandbox_connectors import mariadb as mariadb_source
from sandbox_connectors import postgresql as postgresql_source

from sandbox.doors.sourcing import SourceFeed
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import RowTest, SourceTable
from sandbox.snapshot import current, ingest
from tests.connectors import check, sources
from tests.connectors.sources import Case, Servers

MANY = 300_000


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Servers, tuple[Case, Case]]]:
    with sources.servers() as found:
        (postgres, mariadb), _ = found
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE wide AS SELECT g AS a, repeat('x', 500) AS b FROM generate_series(1, 300000) AS g"
            )
            connection.execute("CREATE TABLE hidden (a int); CREATE USER nosy PASSWORD 'x'")
        mariadb.run("CREATE TABLE wide AS SELECT seq AS a, repeat('x', 500) AS b FROM seq_1_to_300000")
        yield found


def test_rows_and_every_type_come_through(asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path) -> None:
    report = check.Report()
    check.asked(asked[1], tmp_path, report)
    assert report.failed == []
    assert report.rows == 2 * len(sources.ROWS) and report.types == 40


@pytest.mark.parametrize("which", [0, 1])
def test_a_connection_lost_midway_publishes_nothing(
    asked: tuple[Servers, tuple[Case, Case]], which: int, tmp_path: Path
) -> None:
    servers, cases = asked
    with cases[which].connector(tmp_path) as connector:
        rows = connector.open("wide", ["a", "b"])
        assert 0 < rows.read_next_batch().num_rows < MANY
        if which == 0:
            servers[0].run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guarded'", "postgres"
            )
        else:
            with servers[1].connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'reader'")
                for (number,) in cursor.fetchall():
                    cursor.execute(f"KILL {number}")
        with pytest.raises(Refusal) as refused:
            rows.read_all()
    assert refused.value.code is Code.SOURCE_DROPPED


def test_an_ingestion_whose_server_goes_away_leaves_the_last_snapshot(
    asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path
) -> None:
    """The same through ingestion: the refusal is the connector's, and what was in force stays."""
    servers, (case, _) = asked
    with case.connector(tmp_path) as connector:
        feed = SourceFeed(connector, SourceTable("visit", {"city": "城市"}))
        before = ingest(check.DATASET, {"visit": feed}, tmp_path / "s", now=check.NOW).manifest.id

    class Cut(SourceFeed):
        """The real feed; the server ends the session when the first batch was read."""

        def open(self, columns: Sequence[str], since: RowTest | None = None) -> pa.RecordBatchReader:
            wide = self.connector.open("wide", ["a", "b", "b", "b", "b"])
            first = wide.read_next_batch()
            servers[0].run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guarded'", "postgres"
            )

            def rest() -> Iterator[pa.RecordBatch]:
                yield first
                yield from wide

            return pa.RecordBatchReader.from_batches(wide.schema, rest())

    with case.connector(tmp_path) as connector, pytest.raises(Refusal) as refused:
        feed = Cut(connector, SourceTable("visit", {"city": "城市"}))
        ingest(check.DATASET, {"visit": feed}, tmp_path / "s", now=check.NOW)
    assert refused.value.code is Code.SOURCE_DROPPED
    assert current(tmp_path / "s", "d").id == before
    assert not [p for p in (tmp_path / "s" / "d").iterdir() if p.name.startswith(".staging")]


def test_a_locked_table_is_waited_for_and_then_refused(
    asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (postgres, mariadb), (first, second) = asked
    told = (*postgresql_source._SESSION, "SET LOCAL lock_timeout = '300ms'")
    monkeypatch.setattr(postgresql_source, "_SESSION", told)
    with psycopg.connect(postgres.url("postgres")) as holder:
        holder.execute("LOCK TABLE visit IN ACCESS EXCLUSIVE MODE")
        with first.connector(tmp_path) as connector, pytest.raises(Refusal) as refused:
            connector.open("visit", ["who"]).read_all()
        assert refused.value.code is Code.SOURCE_LOCKED
    brief = ("SET SESSION lock_wait_timeout = 1", mariadb_source._SESSION[0], *mariadb_source._SESSION[-2:])
    monkeypatch.setattr(mariadb_source, "_SESSION", brief)
    with mariadb.connect() as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES visit WRITE")
        with second.connector(tmp_path) as connector, pytest.raises(Refusal) as refused:
            connector.open("visit", ["who"]).read_all()
        assert refused.value.code is Code.SOURCE_LOCKED


def test_no_server_and_no_table(asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path) -> None:
    for case, away in zip(
        asked[1], ({"host": "/nowhere"}, {"socket": "", "host": "127.0.0.1", "port": "1"}), strict=True
    ):
        gone = Case(case.name, case.kind, case.table, {**case.options, **away})
        with gone.connector(tmp_path) as connector, pytest.raises(Refusal) as refused:
            connector.test()
        assert refused.value.code is Code.SOURCE_UNREACHABLE and "nowhere" not in str(refused.value)
        with case.connector(tmp_path) as connector:
            for table, column in (("nothing", "a"), (case.table, "nothing")):
                with pytest.raises(Refusal) as refused:
                    connector.open(table, [column])
                assert refused.value.code is Code.SOURCE_UNKNOWN


def test_only_what_the_user_may_read_is_discovered(
    asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path
) -> None:
    _, (case, _) = asked
    with case.connector(tmp_path) as connector:  # a superuser
        assert "public.hidden" in {t.name for t in connector.discover()}
    nosy = Case(case.name, case.kind, case.table, {**case.options, "user": "nosy"})
    with nosy.connector(tmp_path) as connector:
        assert connector.discover() == ()


def test_tables_of_one_database_come_from_one_state(
    asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path
) -> None:
    servers, cases = asked
    for i, case in enumerate(cases):
        with case.connector(tmp_path) as connector:
            before = connector.open("t0", ["a"]).read_all().num_rows
            if i == 0:
                servers[0].run("INSERT INTO t0 VALUES (3, NULL)", "postgres")
            else:
                servers[1].run("INSERT INTO t0 VALUES (3, NULL)")
            assert connector.open("t0", ["a"]).read_all().num_rows == before


def test_no_secret_shows(asked: tuple[Servers, tuple[Case, Case]], tmp_path: Path) -> None:
    """Neither in a list of processes nor in the reprs of what holds it, while connected."""
    for case, secret in zip(asked[1], ("correct-horse-7391", "correct-horse-8264"), strict=True):
        with case.connector(tmp_path) as connector:
            connector.test()
            told = repr(connector) + repr(vars(connector))
            assert secret not in told
            for thread in threading.enumerate():
                assert secret not in thread.name
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    assert secret.encode() not in line.read_bytes()
                except OSError:
                    continue
