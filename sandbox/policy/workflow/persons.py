"""Rules about persons: who may open a case of a kind, and who may do what with one.

Invariants: ``TABLE`` is the only source, and what it does not hold is refused; an author never decides on
their own case, nor does anyone of the author's organisation unless the bureau itself wrote it; approvals that
take two people count different people, over the same hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sandbox.errors import Code, Refusal, refuse
from sandbox.model import Person
from sandbox.policy.roles import Action, check, may, of_bureau
from sandbox.policy.workflow.states import Kind, Verb


class Standing(StrEnum):
    """What ties a person to a case."""

    BUREAU = "bureau"
    OWNER = "owner"
    AUTHOR = "author"


@dataclass(frozen=True, slots=True)
class Parties:
    """Whom a case touches.

    ``author`` and ``organisation``: who wrote the present text; ``owners``: organisations that own the data
    that it names; ``approved``: who approved this very text already; ``people``: how many must.
    """

    author: str
    organisation: str
    owners: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    people: int = 1


OPENS: Final[Mapping[Kind, Action]] = MappingProxyType(
    {
        Kind.DATASET: Action.PROPOSE_DATASET,
        Kind.GRANT: Action.APPLY,
        Kind.PRODUCT: Action.APPLY,
        Kind.INCIDENT: Action.INCIDENTS,
    }
)
"""What who opens a case of each kind must be allowed to do."""

_AUTHOR, _OWNER, _BUREAU = (frozenset({s}) for s in (Standing.AUTHOR, Standing.OWNER, Standing.BUREAU))

_WRITING: Final[Mapping[Verb, frozenset[Standing]]] = {
    Verb.REVISE: _AUTHOR,
    Verb.SUBMIT: _AUTHOR,
    Verb.WITHDRAW: _AUTHOR,
    Verb.REJECT: _BUREAU,
    Verb.APPROVE: _BUREAU,
    Verb.REVOKE: _BUREAU,
}

TABLE: Final[Mapping[Kind, Mapping[Verb, frozenset[Standing]]]] = MappingProxyType(
    {
        Kind.DATASET: {**_WRITING, Verb.ENACT: _AUTHOR | _OWNER},
        Kind.GRANT: {**_WRITING, Verb.ADVISE: _OWNER},
        Kind.PRODUCT: _WRITING,
        Kind.INCIDENT: {Verb.NOTE: _BUREAU, Verb.CLOSE: _BUREAU},
    }
)
"""Which standings may do what with a case of each kind."""

REVIEWS: Final = frozenset({Verb.ADVISE, Verb.APPROVE, Verb.REJECT, Verb.CLOSE})
"""What an author never does with their own."""


def check_opens(kind: Kind, person: Person) -> None:
    """Refuses ``Code.ROLE`` who may not open a case of this kind."""
    check(person, OPENS[kind])


def can_open(kind: Kind, person: Person) -> bool:
    """Whether this person may open a case of this kind."""
    return may(person, OPENS[kind])


def check_person(kind: Kind, verb: Verb, person: Person, parties: Parties) -> None:
    """Refuses ``ROLE``, ``OWN_WORK`` or ``TWO_PEOPLE`` who may not do this with such a case."""
    wanted = TABLE[kind].get(verb, frozenset())
    if not wanted & standings(person, parties):
        raise refuse(Code.ROLE)
    if verb in REVIEWS and _own(person, parties):
        raise refuse(Code.OWN_WORK, f"{kind.value} {verb.value}")
    if verb is Verb.APPROVE and person.name in parties.approved:
        raise refuse(Code.TWO_PEOPLE, f"{kind.value} {verb.value}")


def can_person(kind: Kind, verb: Verb, person: Person, parties: Parties) -> bool:
    """Whether this person may do this with such a case."""
    try:
        check_person(kind, verb, person, parties)
    except Refusal:
        return False
    return True


def standings(person: Person, parties: Parties) -> frozenset[Standing]:
    """What ties this person to the case.  An author's colleagues may go on with the work."""
    found = {Standing.BUREAU} if may(person, Action.REVIEW) else set()
    if may(person, Action.ADVISE) and person.organisation in parties.owners:
        found.add(Standing.OWNER)
    writes = any(may(person, action) for action in OPENS.values())
    if writes and person.organisation == parties.organisation:
        found.add(Standing.AUTHOR)
    return frozenset(found)


def complete(person: Person, parties: Parties) -> bool:
    """Whether this person's approval is the last that is needed."""
    return len(parties.approved | {person.name}) >= parties.people


def _own(person: Person, parties: Parties) -> bool:
    """The author's own; or their organisation's, where that is not the bureau."""
    colleague = person.organisation == parties.organisation and not of_bureau(person)
    return person.name == parties.author or colleague
