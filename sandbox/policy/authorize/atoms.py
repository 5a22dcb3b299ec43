"""Atoms: what an expression over private rows is made of, once it is traced down.

Invariant: every column of a traced expression is the index of one atom of the same ``Site``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sandbox.catalogue import Catalogue, Column, Kind, Use
from sandbox.sql.expressions import Expr, Facts, columns
from sandbox.sql.relation import Source


class Role(Enum):
    """What stands behind an atom.

    PUBLIC: a public table's column, a constant row or a released value; free.  STORED: a protected
    column, under its ``use``.  UNIT: a number that stands for the row's privacy unit.  COUNT: how many
    rows of one unit.  DERIVED: any other value computed from one unit's rows, checked where it was made.
    """

    PUBLIC = auto()
    STORED = auto()
    UNIT = auto()
    COUNT = auto()
    DERIVED = auto()


@dataclass(frozen=True, slots=True)
class Atom:
    """One leaf.  ``hidden``: the unit field that the builder carries along, which no query can name."""

    role: Role
    kind: Kind
    source: Source | None = None
    scope: str = ""
    hidden: bool = False

    @property
    def facts(self) -> Facts:
        """Kind, and the range that is declared (enforced at ingestion) for a stored column."""
        kind = Kind.DOUBLE if self.kind is Kind.DECIMAL else self.kind
        if self.role is not Role.STORED or self.source is None or not kind.numeric:
            return Facts(kind)
        return Facts(kind, range=self.source.column.range)

    @property
    def protected(self) -> bool:
        """Whether the policy has a say in how it is used."""
        return self.role in (Role.STORED, Role.UNIT)

    @property
    def column(self) -> Column:
        """The stored column; only for atoms with a source."""
        assert self.source is not None
        return self.source.column

    @property
    def path(self) -> str:
        """``dataset.table.column`` as the grant lists joins, or ""."""
        return "" if self.source is None else f"{self.source.table.id}.{self.source.column.name}"

    def has(self, use: Use) -> bool:
        """Whether the stored column may be used so."""
        return self.source is not None and use in self.source.column.use


@dataclass(frozen=True, slots=True)
class Site:
    """Where expressions are checked: the atoms that they mention, and what the grant lists."""

    atoms: Sequence[Atom]
    catalogue: Catalogue

    def protected(self, expr: Expr) -> bool:
        """Whether the expression reads any protected column."""
        return any(self.atoms[i].protected for i in columns(expr))
