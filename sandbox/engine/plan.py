"""The facts of a bound plan: what DuckDB, having looked up every name, would read and compute.

``facts_of`` runs inside the twin's process.  Invariants: every object of the plan is looked at, so text
under the author's control can add facts but not hide any; a scan of anything but a known table is
``foreign``; a shape that is not understood raises ``KeyError``, ``IndexError`` or ``TypeError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.engine.syntax import Syntax, objects

Known = Mapping[tuple[str, str], str]
"""Lower-case (schema, name) of a twin table -> the table id to report it under."""

ROWID: Final = "rowid"
_NO_COLUMN: Final = 2**64 - 1  # DuckDB's index of the row id, and of "no column needed"
_CALLS: Final = frozenset({"BOUND_FUNCTION", "BOUND_AGGREGATE"})


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What DuckDB makes of a text over the catalogue.

    ``tables``: ids scanned.  ``columns``: (table id, column) read by the scans, for any purpose and before
    pruning: a ``SELECT *`` inside a CTE reads all columns; (id, ``rowid``) is the row number.
    ``functions``: bound scalar, aggregate and window functions, lower case, without schema; comparisons and
    casts are not among them.  ``operators``: kinds of plan nodes (``LOGICAL_…``) and of expressions that are
    no calls (``CASE_EXPR``, ``COMPARE_EQUAL``, ``OPERATOR_CAST``, ``BOUND_LAMBDA`` …).
    ``single_select``: one SELECT and nothing that writes; if false, all else is empty.
    ``foreign``: scans of anything that is no table of the catalogue: table functions, system tables.
    ``written``: functions as the text spells them: aliases, macros and what folds away before binding.
    ``syntax``: kinds of syntax nodes (``TABLE_FUNCTION``, ``PIVOT``, ``SHOW_REF``, ``expression STAR`` …).
    """

    tables: frozenset[str] = frozenset()
    columns: frozenset[tuple[str, str]] = frozenset()
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    single_select: bool = False
    foreign: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    syntax: frozenset[str] = frozenset()


def facts_of(plan: dict[str, Any], syntax: Syntax, known: Known) -> PlanFacts:
    """Gather the facts of one serialized, unoptimized plan and of its text's syntax."""
    nodes = list(objects(plan["plans"]))
    scans = [_Scan(node, known) for node in nodes if node.get("type") == "LOGICAL_GET"]
    tables = frozenset(scan.table for scan in scans if scan.table is not None)
    columns = (column for scan in scans for column in scan.columns(ROWID in syntax.columns))
    foreign = {scan.name for scan in scans if scan.table is None}
    return PlanFacts(
        tables=tables,
        columns=frozenset(columns),
        functions=frozenset(name for node in nodes for name in _functions(node)),
        operators=frozenset(kind for node in nodes for kind in _operators(node)),
        single_select=True,
        foreign=frozenset(foreign) | syntax.sources,
        written=syntax.functions | syntax.sources,
        syntax=syntax.kinds,
    )


class _Scan:
    """One LOGICAL_GET: a table of the twin, or something foreign."""

    def __init__(self, node: dict[str, Any], known: Known) -> None:
        data = node.get("function_data")
        self._node = node
        self.name = ".".join(node["qname"]["path"])
        self.table: str | None = None
        if isinstance(data, dict) and node["qname"]["path"] == ["seq_scan"]:
            path = data["qualified_name"]["path"]
            self.name = ".".join(path)
            self.table = _id(path, known)

    def columns(self, rowid_named: bool) -> Iterator[tuple[str, str]]:
        """(table id, column) of a twin table's scan; nothing for a foreign one."""
        if self.table is None:
            return
        names, indexes = self._node["names"], self._node["column_indexes"]
        for column in indexes:
            index = column["index"]
            if not column["has_index"]:
                yield from ((self.table, name) for name in names)
            elif index < len(names):
                yield self.table, names[index]
            elif index != _NO_COLUMN or len(indexes) > 1 or rowid_named:
                yield self.table, ROWID


def _id(path: list[str], known: Known) -> str | None:
    match path:
        case ("memory", schema, name):
            return known.get((schema.lower(), name.lower()))
        case _:
            return None


def _functions(node: dict[str, Any]) -> Iterator[str]:
    kind, form = node.get("type"), node.get("expression_class")
    if form == "BOUND_WINDOW" and "qname" not in node:
        yield {"WINDOW_RANK_DENSE": "dense_rank"}.get(str(kind), str(kind).removeprefix("WINDOW_").lower())
    elif "qname" in node and (form == "BOUND_WINDOW" or kind in _CALLS):
        yield node["qname"]["path"][-1].lower()


def _operators(node: dict[str, Any]) -> Iterator[str]:
    kind = node.get("type")
    if not isinstance(kind, str) or kind in _CALLS:
        return
    if kind.startswith("LOGICAL_") or "expression_class" in node:
        yield kind
