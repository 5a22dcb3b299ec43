"""The twin's process: empty catalogues, and DuckDB's plan of a text over one of them.

Nothing here has ever seen data.  Planning folds constants, so a text can still eat time and memory;
its box sets the limits before the first question and the gateway keeps the clock.  No engine text is sent.
"""

from __future__ import annotations

import json
import resource
from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any, Final

import duckdb

from sandbox.engine import child
from sandbox.engine.duckdb_sql import LOCK, quoted
from sandbox.engine.frames import Frame
from sandbox.engine.plan import Known, PlanFacts, facts_of
from sandbox.engine.syntax import read, serialized

LARGEST_QUESTION: Final = 16 << 20
_WORN: Final = 700 << 10  # peak resident kilobytes after which a fresh process is better
_CATALOGUES: Final = 16
_PLAN: Final = "SELECT json_serialize_plan(?, optimize := false)"
_SETTINGS: Final = ("threads = 1", "memory_limit = '512MB'", "temp_directory = ''", "TimeZone = 'UTC'", *LOCK)


@dataclass(frozen=True, slots=True)
class _Catalogue:
    connection: duckdb.DuckDBPyConnection
    known: Known


def main() -> None:
    """Answer questions until the gateway goes away."""
    channel = child.connect()
    catalogues: OrderedDict[str, _Catalogue] = OrderedDict()
    while True:
        try:
            question = channel.receive(LARGEST_QUESTION)
        except EOFError:
            return
        child.allow_cpu(question.header["seconds"])
        channel.send(Frame(_answer(question.header, catalogues)))


def _answer(question: dict[str, Any], catalogues: OrderedDict[str, _Catalogue]) -> dict[str, Any]:
    """``missing`` asks for the catalogue's tables; ``worn`` asks to be replaced; ``facts`` or null."""
    key, tables = question["key"], question["tables"]
    if key is None:  # the gateway only waits for the process to be up
        return {}
    try:
        if key not in catalogues:
            if tables is None:
                return {"missing": True}
            catalogues[key] = _create(tables)
            if len(catalogues) > _CATALOGUES:
                catalogues.popitem(last=False)[1].connection.close()
        catalogues.move_to_end(key)
        facts = _describe(catalogues[key], question["sql"])
    except (duckdb.Error, ValueError, LookupError, TypeError, RecursionError):
        facts = None
    except MemoryError:
        return {"facts": None, "worn": True}
    return {"facts": None if facts is None else _plain(facts), "worn": _peak() > _WORN}


def _peak() -> int:
    """Peak resident kilobytes of this process.

    Not ``ru_maxrss`` where it can be helped: that one is inherited, so a large gateway would have its twins
    thrown away after every question.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _create(tables: dict[str, list[list[str]]]) -> _Catalogue:
    """Empty tables, each in its dataset's schema and, if no other shares its name, in ``main``."""
    connection = duckdb.connect(":memory:")
    bare = [table.split(".", 1)[1].lower() for table in tables]
    known: dict[tuple[str, str], str] = {}
    for table, columns in tables.items():
        dataset, name = table.split(".", 1)
        schemas = [dataset, "main"] if bare.count(name.lower()) == 1 else [dataset]
        for schema in schemas:
            if (schema.lower(), name.lower()) in known:
                continue  # a dataset that is itself called main
            typed = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS memory.{quoted(schema)}")
            connection.execute(f"CREATE TABLE memory.{quoted(schema)}.{quoted(name)} ({typed})")
            known[schema.lower(), name.lower()] = table
    for setting in _SETTINGS:
        connection.execute(f"SET {setting}")
    return _Catalogue(connection, known)


def _describe(catalogue: _Catalogue, sql: str) -> PlanFacts | None:
    syntax = read(catalogue.connection, sql)
    if syntax is None:
        return None
    if not syntax.single_select:
        return PlanFacts()
    plan = serialized(catalogue.connection, _PLAN, sql)
    if plan is None or len(plan["plans"]) != 1:
        return None
    return facts_of(plan, syntax, catalogue.known)


def _plain(facts: PlanFacts) -> dict[str, Any]:
    values = {field.name: getattr(facts, field.name) for field in fields(facts)}
    plain: dict[str, Any] = json.loads(json.dumps(values, default=sorted))
    return plain
