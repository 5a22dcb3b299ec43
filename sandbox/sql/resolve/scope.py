"""Names in scope, and where they stand in the relation being built.

Names compare ASCII-case-insensitively, as the engine does; nothing else folds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandbox.errors import Code, refuse
from sandbox.sql.relation import Relation, visible


def fold(name: str) -> str:
    """The form in which two names are equal."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


_LOWER = {ord(c): ord(c.lower()) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True, slots=True)
class Name:
    """One nameable column: its qualifier, name and index.  ``merged``: the right copy of a USING
    column, reachable only when qualified."""

    qualifier: str
    name: str
    index: int
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """All nameable columns of a relation, in output order."""

    names: tuple[Name, ...] = ()

    def find(self, name: str, qualifier: str | None = None) -> int | None:
        """The index of a name, ``None`` if unknown; refuses AMBIGUOUS names."""
        folded = fold(name)
        hits = [n for n in self.names if fold(n.name) == folded and _qualified(n, qualifier)]
        if len(hits) > 1:
            raise refuse(Code.AMBIGUOUS, name)
        return hits[0].index if hits else None

    def shown(self, qualifier: str | None = None) -> list[Name]:
        """The columns that ``*`` or ``qualifier.*`` stands for."""
        return [n for n in self.names if _qualified(n, qualifier)]

    def shifted(self, by: int) -> Scope:
        """The same names over a relation placed ``by`` columns to the right."""
        return Scope(tuple(replace(n, index=n.index + by) for n in self.names))

    def beside(self, other: Scope) -> Scope:
        """Both scopes, left to right.  Refuses a qualifier given twice."""
        mine = {fold(n.qualifier) for n in self.names}
        clash = next((n.qualifier for n in other.names if fold(n.qualifier) in mine and n.qualifier), None)
        if clash:
            raise refuse(Code.DUPLICATE, clash)
        return Scope((*self.names, *other.names))

    def merging(self, columns: list[str], right: Scope) -> Scope:
        """Both scopes after USING: the right copies answer only to their qualifier."""
        folded = {fold(c) for c in columns}
        rights = tuple(replace(n, merged=True) if fold(n.name) in folded else n for n in right.names)
        return self.beside(Scope(rights))


def _qualified(name: Name, qualifier: str | None) -> bool:
    if qualifier is None:
        return not name.merged
    return fold(name.qualifier) == fold(qualifier)


def scope_of(relation: Relation, qualifier: str, columns: list[str] | None = None) -> Scope:
    """The scope of a relation under an alias, its columns optionally renamed."""
    shown = visible(relation)
    labels = [relation.fields[i].name for i in shown]
    if columns is not None:
        if len(columns) > len(shown):
            raise refuse(Code.SYNTAX, f"{qualifier}(…)")
        labels[: len(columns)] = columns
    return Scope(tuple(Name(qualifier, label, i) for label, i in zip(labels, shown, strict=True)))
