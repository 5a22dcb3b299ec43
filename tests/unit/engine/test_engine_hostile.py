"""SQL that no compiler of ours would write: every fence holds by itself, and says nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.interface import Engine, EngineFailure
from sandbox.engine.worker import _Database
from sandbox.errors import Code

CONSTANT = "DS-701 the query could not be run"

HOSTILE = """
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM '/etc/passwd'
SELECT * FROM "{folder}/neighbour.parquet"
SELECT * FROM read_parquet('{folder}/neighbour.parquet')
SELECT * FROM read_text('{folder}/manifest.json')
SELECT * FROM read_blob('{folder}/part-0.parquet')
SELECT * FROM read_parquet('{folder}/part-0.parquet')
SELECT * FROM parquet_metadata('{folder}/part-0.parquet')
SELECT * FROM glob('{folder}/*')
SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('people')
SELECT * FROM range(3)
SELECT * FROM duckdb_settings()
SELECT * FROM information_schema.tables
SELECT * FROM duckdb_views
SELECT * FROM pg_catalog.pg_class
SELECT * FROM med.people
SELECT * FROM people
SELECT * FROM (SELECT 1) AS a, "system"."information_schema"."tables"
COPY (SELECT 1) TO '/tmp/out.csv'
COPY "memory"."med"."people" TO '/tmp/out.csv'
WITH x AS (COPY (SELECT 1) TO '/tmp/out.csv') SELECT 1
WITH x AS (DELETE FROM "memory"."med"."people" RETURNING *) SELECT * FROM x
ATTACH '/tmp/x.db' AS x
ATTACH ':memory:' AS x
INSTALL httpfs
LOAD httpfs
SET threads = 8
SET VARIABLE x = 1
RESET memory_limit
PRAGMA database_list
PRAGMA add_parquet_key('k', '0123456789abcdef')
CREATE TABLE t AS SELECT 1
CREATE TEMP VIEW v AS SELECT 1
CREATE MACRO m(a) AS a
DROP VIEW "memory"."med"."people"
CALL enable_logging()
EXPLAIN SELECT 1
DESCRIBE "memory"."med"."people"
SUMMARIZE "memory"."med"."people"
FROM (SUMMARIZE "memory"."med"."people")
SHOW TABLES
BEGIN
PREPARE p AS SELECT 1
EXPORT DATABASE '/tmp/x'
SELECT getenv('HOME')
SELECT 1; SELECT 2
SELECT 1; DROP VIEW "memory"."med"."people"
PIVOT "memory"."med"."people" ON name USING sum(fee)
SELECT $1
SELECT error('Zed Unique')
SELECT nonsense FROM "memory"."med"."people"
SELECT name::INTEGER FROM "memory"."med"."people"
SELECT CAST(name AS DATE) FROM "memory"."med"."people"
SELECT (SELECT name FROM "memory"."med"."people")
SELECT regexp_matches(name, '(') FROM "memory"."med"."people"
SELECT sum(170141183460469231731687303715884105727::HUGEINT) FROM "memory"."med"."people"
SELEC
-- nothing
""".strip().splitlines()


@pytest.mark.parametrize("text", [*HOSTILE, "", ";", "SELECT 1\0; DROP TABLE x", "SELECT '\ud800'"])
def test_a_hostile_text_fails_with_the_constant_text(
    engine: Engine, snapshot: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sql = text.replace("{folder}", str(snapshot).replace("'", "''"))
    with pytest.raises(EngineFailure) as failure:
        engine.run(sql)
    assert str(failure.value) == CONSTANT
    assert failure.value.code is Code.ENGINE
    assert failure.value.__cause__ is None
    assert failure.value.reasons[0].subject == failure.value.reasons[0].hint == ""
    assert capfd.readouterr() == ("", "")
    assert engine.run('SELECT * FROM "memory"."med"."people"').num_rows == 3


@pytest.fixture(scope="module")
def database(sources: dict[str, tuple[Path, ...]]) -> _Database:
    """The worker's database without the worker: to try the second fence without the first."""
    files = {source: [str(file) for file in files] for source, files in sources.items()}
    return _Database(
        {"sources": files, "held": [], "keys": {}, "threads": 1, "memory_mb": 256, "spill": "", "spill_mb": 1}
    )


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_parquet('{folder}/neighbour.parquet')",
        "SELECT * FROM read_text('{folder}/manifest.json')",
        "SELECT * FROM read_text('{folder}/../year=2024/manifest.json')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/new.csv'",
        "COPY (SELECT 1) TO '{folder}/part-0.parquet'",
        "ATTACH '{folder}/new.db' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE '{folder}/out'",
        "SET threads = 8",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET allowed_paths",
        "SELECT getenv('HOME')",
        "SELECT * FROM capsys",
    ],
)
def test_the_locked_connection_holds_without_the_check(
    database: _Database, snapshot: Path, text: str
) -> None:
    capsys = {"secret": [1]}
    with pytest.raises(duckdb.Error):
        database._connection.execute(text.replace("{folder}", str(snapshot).replace("'", "''")))
    assert capsys and sorted(file.name for file in snapshot.iterdir()) == [
        "cube.parquet",
        "manifest.json",
        "neighbour.parquet",
        "part-0.parquet",
        "part-1.parquet",
    ]


def test_a_worker_has_no_environment_no_descriptors_and_its_limits(
    sources: dict[str, tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with DuckDBEngine(sources, memory_mb=800) as engine:
        engine.start()
        assert engine._child is not None
        process = Path(f"/proc/{engine._child.worker}")
        assert b"SECRET" not in (process / "environ").read_bytes()
        assert b"snapshot" not in (process / "cmdline").read_bytes()
        opened = {str(descriptor.readlink()) for descriptor in (process / "fd").iterdir()}
        files = {file for file in opened if file.startswith("/") and not file.startswith("/dev/null")}
        assert files <= files_of(sources)
        limits = (process / "limits").read_text()
        for name, value in {
            "Max address space": 3 * 800 << 20,
            "Max file size": 0,
            "Max core file size": 0,
            "Max open files": 256 + len(files_of(sources)),
        }.items():
            (line,) = (line for line in limits.splitlines() if line.startswith(name))
            assert line.removeprefix(name).split()[:2] == [str(value), str(value)]


def files_of(sources: dict[str, tuple[Path, ...]]) -> set[str]:
    return {str(file) for parts in sources.values() for file in parts}


def test_a_worker_starts_from_anywhere(tmp_path: Path) -> None:
    """Neither the working directory nor PYTHONPATH decides what code a worker runs."""
    evil = tmp_path / "duckdb.py"
    evil.write_text("raise SystemExit('shadowed')")
    script = (
        "from sandbox.engine.duckdb_engine import DuckDBEngine\n"
        "with DuckDBEngine({}) as engine: print(engine.run('SELECT 7 AS n')['n'][0])"
    )
    root = Path(sys.modules["sandbox"].__file__ or "").resolve().parent.parent
    start = f"import sys; sys.path.append({str(root)!r}); sys.path = [p for p in sys.path if p]\n{script}"
    ran = subprocess.run(
        [sys.executable, "-c", start],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.returncode) == ("7\n", 0)
