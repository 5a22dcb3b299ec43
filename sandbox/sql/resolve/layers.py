"""Reading above a layer: over grouped rows, windows and scalar subqueries.

A ``LayerReader`` knows some syntax nodes (aggregates, windows, subqueries) as columns of the layer
already built, and, over grouped rows, recognises each group key wherever it is written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.expressions import Col, Expr
from sandbox.sql.resolve.columns import Columns, column_name
from sandbox.sql.resolve.reader import Reader
from sandbox.sql.syntax import ANY_AGGREGATE


class LayerReader(Reader):
    """Reads expressions over a layer.  ``base`` and ``keys`` are given over grouped rows."""

    def __init__(
        self,
        columns: Columns,
        known: Mapping[exp.Expr, Expr],
        base: Reader | None = None,
        keys: Sequence[Expr] = (),
    ) -> None:
        super().__init__(columns, self._unknown_subquery)
        self.known = known
        self.base = base
        self.keys = {key: i for i, key in enumerate(keys)}

    def _unknown_subquery(self, node: exp.Expr) -> Expr:
        raise refuse(
            Code.SUBQUERY, "(SELECT …)", "name its result in a CTE and join it", "请用 CTE 命名后连接"
        )

    def read(self, node: exp.Expr) -> Expr:
        if node in self.known:
            return self.known[node]
        if self.base is not None and not isinstance(node, exp.Literal | exp.Null | exp.Boolean):
            key = self._key(node)
            if key is not None:
                return Col(key)
        return super().read(node)

    def _key(self, node: exp.Expr) -> int | None:
        assert self.base is not None
        try:
            return self.keys.get(self.base.read(node))
        except Refusal:
            return None

    def column(self, node: exp.Column) -> Expr:
        if self.base is None:
            return super().column(node)
        name, qualifier = column_name(node)
        found = self.columns.find(node, inside_alias=bool(self._reading))
        if isinstance(found, exp.Expr):
            return super().column(node)
        raise refuse(Code.GROUPING, name if qualifier is None else f"{qualifier}.{name}")


def is_aggregate(node: exp.Expr) -> bool:
    """Whether the node is an aggregate call (with or without FILTER), not a window."""
    inner = node.this if isinstance(node, exp.Filter) else node
    return isinstance(inner, ANY_AGGREGATE)


def aggregates_in(roots: Sequence[exp.Expr]) -> list[exp.Expr]:
    """Aggregate nodes of the grouping level: not those that a window or a subquery owns."""
    found: dict[exp.Expr, None] = {}

    def visit(node: exp.Expr, *, windowed: bool) -> None:
        if isinstance(node, exp.Query) and not windowed:
            return
        if is_aggregate(node) and not windowed:
            found.setdefault(node)
            return
        for child in node.iter_expressions():
            visit(child, windowed=isinstance(node, exp.Window) and child is node.this)

    for root in roots:
        visit(root, windowed=False)
    return list(found)


def nodes_in(roots: Sequence[exp.Expr], kinds: tuple[type[exp.Expr], ...]) -> list[exp.Expr]:
    """Outermost nodes of the given kinds."""
    found: dict[exp.Expr, None] = {}

    def visit(node: exp.Expr) -> None:
        if isinstance(node, kinds):
            found.setdefault(node)
            return
        for child in node.iter_expressions():
            visit(child)

    for root in roots:
        visit(root)
    return list(found)


def subqueries_in(roots: Sequence[exp.Expr]) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Outermost subqueries: EXISTS and IN, and those that are values."""
    tests: dict[exp.Expr, None] = {}
    scalars: dict[exp.Expr, None] = {}

    def visit(node: exp.Expr) -> None:
        if isinstance(node, exp.Exists) or (isinstance(node, exp.In) and node.args.get("query") is not None):
            tests.setdefault(node)
        elif isinstance(node, exp.Query):
            scalars.setdefault(node)
        else:
            for child in node.iter_expressions():
                visit(child)

    for root in roots:
        visit(root)
    return list(tests), list(scalars)
