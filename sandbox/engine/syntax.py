"""DuckDB's own reading of a text, before any name is looked up: what kind of statement, which parts.

Runs inside the child processes only.  The tree is that of ``json_serialize_sql``, which parses and does
nothing else.  Invariant: whatever is not on the lists below makes ``only_reads`` false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import duckdb

_QUERIES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_SOURCES: Final = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST", "EMPTY"})
_MODIFIERS: Final = frozenset(
    {"ORDER_MODIFIER", "LIMIT_MODIFIER", "DISTINCT_MODIFIER", "ORDER_DEFAULT", "ASCENDING", "DESCENDING"}
)
_PLAIN: Final = _QUERIES | _SOURCES | _MODIFIERS
_WRITES: Final = "_QUERY_NODE"  # COPY_, INSERT_, UPDATE_, DELETE_, MERGE_…: statements inside a CTE


@dataclass(frozen=True, slots=True)
class Syntax:
    """One text as DuckDB's parser reads it.

    ``single_select``: exactly one statement, a SELECT, no CTE of which writes.
    ``kinds``: the kinds of its query nodes, table references and expressions (``STAR``, ``PIVOT``,
    ``TABLE_FUNCTION`` …).  ``tables``: names as written, one tuple of parts each.  ``ctes``: names of
    common table expressions.  ``functions``: scalar and aggregate functions as written, lower case, before
    aliases, macros and folding.  ``sources``: functions that stand in FROM.  ``columns``: last parts of
    column references, lower case.
    """

    single_select: bool
    kinds: frozenset[str] = frozenset()
    tables: frozenset[tuple[str, ...]] = frozenset()
    ctes: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()


def read(connection: duckdb.DuckDBPyConnection, sql: str) -> Syntax | None:
    """The text's syntax, or ``None`` if DuckDB cannot parse it."""
    if "\0" in sql:  # a C string would end here, and hide the rest
        return None
    try:
        sql.encode()  # half a surrogate pair is no text
        statements = connection.extract_statements(sql)
    except (duckdb.Error, ValueError):  # ValueError: also of statement kinds the binding does not know
        return None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return Syntax(single_select=False)
    tree = serialized(connection, "SELECT json_serialize_sql(?)", sql)
    if tree is None or len(tree["statements"]) != 1:
        return Syntax(single_select=False)
    return _of(tree)


def serialized(connection: duckdb.DuckDBPyConnection, query: str, sql: str) -> dict[str, Any] | None:
    """The JSON object that one of DuckDB's serializers makes of ``sql``, or ``None`` for its error."""
    row = connection.execute(query, [sql]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    return None if tree["error"] else tree


def objects(tree: object) -> Iterator[dict[str, Any]]:
    """Every JSON object in a tree, in no particular order."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)


def only_reads(syntax: Syntax, schemas: frozenset[str]) -> bool:
    """Whether a text of our own compiler is what it has to be.

    One SELECT that reads nothing but its own CTEs and tables of these (lower case) ``schemas`` under
    three-part names: no table function, no file by name, no system table, no statement inside a CTE.
    """
    nodes = {kind for kind in syntax.kinds if not kind.startswith("expression ")}
    return (
        syntax.single_select
        and nodes <= _PLAIN
        and not syntax.sources
        and all(_known(name, syntax.ctes, schemas) for name in syntax.tables)
    )


def _known(name: tuple[str, ...], ctes: frozenset[str], schemas: frozenset[str]) -> bool:
    match name:
        case (cte,):
            return cte.lower() in ctes
        case ("memory", schema, _):
            return schema.lower() in schemas
        case _:
            return False


def _of(tree: dict[str, Any]) -> Syntax:
    nodes = list(objects(tree))
    kinds = frozenset(_kind(node) for node in nodes if isinstance(node.get("type"), str))
    calls = [node for node in nodes if "function_name" in node]
    in_from = [node["function"] for node in nodes if node.get("type") == "TABLE_FUNCTION"]
    return Syntax(
        single_select=not any(kind.endswith(_WRITES) for kind in kinds),
        kinds=kinds,
        tables=frozenset(
            tuple(node["qualified_name"]["path"]) for node in nodes if node.get("type") == "BASE_TABLE"
        ),
        ctes=frozenset(entry["key"].lower() for node in nodes for entry in _ctes(node)),
        functions=frozenset(_name(call) for call in calls if not any(call is f for f in in_from)),
        sources=frozenset(_name(call) for call in in_from),
        columns=frozenset(node["column_names"][-1].lower() for node in nodes if "column_names" in node),
    )


def _kind(node: dict[str, Any]) -> str:
    """Expressions have a class as well as a type; relations and modifiers only a type."""
    return f"expression {node['type']}" if "class" in node else str(node["type"])


def _name(call: dict[str, Any]) -> str:
    """A function's own name.  What stands in FROM need not be a plain call; then its class is the name."""
    return str(call.get("function_name") or call.get("class")).lower()


def _ctes(node: dict[str, Any]) -> list[dict[str, Any]]:
    found = node.get("cte_map")
    return found["map"] if isinstance(found, dict) else []
