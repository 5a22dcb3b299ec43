"""Who may read which grant."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.model import Person
from sandbox.policy.load import load
from sandbox.policy.visible import owned, sees, visible

DOCUMENTS = load([Path(__file__).parents[3] / "policies"])


def readers(person: Person) -> set[str]:
    found = {g.id for g in DOCUMENTS.grants if sees(DOCUMENTS, person, g)}
    assert {g.id for g in visible(DOCUMENTS, person).grants} == found
    assert {p.grant for p in visible(DOCUMENTS, person).products} <= found
    return found


@pytest.mark.parametrize("role", ["bureau", "reviewer", "auditor"])
def test_the_bureau_reads_all(role: str) -> None:
    person = Person("p", role, "bureau")
    assert readers(person) == {g.id for g in DOCUMENTS.grants} and owned(DOCUMENTS, person) == frozenset()


@pytest.mark.parametrize("dataset", DOCUMENTS.datasets, ids=lambda d: d.id)
def test_an_owner_reads_what_opens_its_data(dataset: object) -> None:
    owner = next(d.owner for d in DOCUMENTS.datasets if d is dataset)
    mine = {d.id for d in DOCUMENTS.datasets if d.owner == owner}
    opening = {g.id for g in DOCUMENTS.grants if {table.split(".")[0] for table, _ in g.data} & mine}
    person = Person("p", "owner", owner)
    assert owned(DOCUMENTS, person) == mine and readers(person) == opening
    assert owned(DOCUMENTS, Person("p", "analyst", owner)) == frozenset()


@pytest.mark.parametrize("role", ["operator", "analyst"])
@pytest.mark.parametrize("to", sorted({g.to for g in DOCUMENTS.grants}))
def test_an_operator_reads_its_own(role: str, to: str) -> None:
    assert readers(Person("p", role, to)) == {g.id for g in DOCUMENTS.grants if g.to == to}


@pytest.mark.parametrize("role", ["owner", "operator", "analyst"])
def test_others_read_none(role: str) -> None:
    assert readers(Person("p", role, "nobody")) == set()
    assert not visible(DOCUMENTS, Person("p", role, "nobody")).products
