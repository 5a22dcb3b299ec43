"""Finding what a name means: a column of the scope, or an item of the SELECT list by its alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp

from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.expressions import Col, Expr, Facts
from sandbox.sql.instead import nearest
from sandbox.sql.relation import Relation, facts
from sandbox.sql.resolve.scope import Scope, fold


class Columns:
    """The names over one relation.

    ``aliases`` maps folded names to SELECT items, read on demand.  ``alias_first``: in ORDER BY an
    alias hides a column of the same name, elsewhere the column hides the alias.
    """

    def __init__(
        self, relation: Relation, scope: Scope, aliases: Mapping[str, exp.Expr], *, alias_first: bool = False
    ) -> None:
        self.relation = relation
        self.scope = scope
        self.aliases = aliases
        self.alias_first = alias_first

    def facts(self) -> Sequence[Facts]:
        """Facts of the relation's fields."""
        return facts(self.relation)

    def find(self, node: exp.Column, *, inside_alias: bool = False) -> Expr | exp.Expr:
        """A column, or the SELECT item to be read; refuses UNKNOWN_COLUMN and AMBIGUOUS.

        ``inside_alias``: the name stands in such an item itself, so it means the column if there is one.
        """
        name, qualifier = column_name(node)
        alias = self.aliases.get(fold(name)) if qualifier is None else None
        if alias is not None and self.alias_first and not inside_alias:
            return alias
        index = self.scope.find(name, qualifier)
        if index is not None:
            return Col(index)
        if alias is not None:
            return alias
        raise unknown(name, qualifier, [n.name for n in self.scope.names])


def column_name(node: exp.Column) -> tuple[str, str | None]:
    """Name and qualifier of a column reference."""
    if not isinstance(node.this, exp.Identifier):
        raise refuse(Code.CONSTRUCT, "*", "name the columns", "请写出列名")
    table = node.args.get("table")
    return str(node.this.this), None if table is None else str(table.this)


def unknown(name: str, qualifier: str | None, known: Iterable[str]) -> Refusal:
    """The refusal for a name that is not there, or not open to this grant: the same for both."""
    subject = name if qualifier is None else f"{qualifier}.{name}"
    return refuse(Code.UNKNOWN_COLUMN, subject, *nearest(name, known))
