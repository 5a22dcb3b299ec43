"""Which grants a person may read: the bureau all, others their organisation's, owners those on their data."""

from __future__ import annotations

from dataclasses import replace

from sandbox.model import Person
from sandbox.policy.documents import Documents, Grant
from sandbox.policy.roles import Action, may


def owned(documents: Documents, person: Person) -> frozenset[str]:
    """The datasets of which this person's organisation is the owner, and this person acts for it."""
    if not may(person, Action.HOLDINGS):
        return frozenset()
    return frozenset(d.id for d in documents.datasets if d.owner == person.organisation)


def sees(documents: Documents, person: Person, grant: Grant) -> bool:
    """Whether this person may read this grant."""
    if may(person, Action.ALL_ENTRIES) or grant.to == person.organisation:
        return True
    mine = owned(documents, person)
    return any(table.partition(".")[0] in mine for table, _ in grant.data)


def visible(documents: Documents, person: Person) -> Documents:
    """The documents without the grants, and their products, that this person may not read."""
    grants = tuple(g for g in documents.grants if sees(documents, person, g))
    ids = {g.id for g in grants}
    return replace(documents, grants=grants, products=tuple(p for p in documents.products if p.grant in ids))
