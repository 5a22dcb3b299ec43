"""Cases, products and statements as both doors show them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from sandbox.casework.desk import CaseDesk
from sandbox.casework.products import Line
from sandbox.doors import wire
from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.policy.documents import Product
from sandbox.policy.parts import decimal
from sandbox.store.cases import Case, Step

E = TypeVar("E", bound=StrEnum)


def word(words: type[E], given: str | None) -> E | None:
    """The word of a closed list, or ``None`` if none is given.  Refuses ``REQUEST`` any other."""
    return None if given is None else needed(words, given)


def needed(words: type[E], given: str) -> E:
    """The word of a closed list.  Refuses ``REQUEST`` any other."""
    if given not in set(words):
        known = ", ".join(words)
        raise refuse(Code.REQUEST, ascii(given[:40]), f"one of: {known}", f"可用：{known}")
    return words(given)


def case(found: Case) -> wire.Json:
    """A case without its text."""
    return {
        "id": found.id,
        "kind": found.kind.value,
        "document": found.document,
        "state": found.state.value,
        "author": found.author,
        "organisation": found.organisation,
        "hash": found.hash,
        "time": found.time.isoformat(),
    }


def whole(desk: CaseDesk, person: Person, id: int) -> wire.Json:
    """A case with its text, its steps, and what this person may do."""
    found = desk.case(person, id)
    steps = [step(one) for one in desk.steps(person, id)]
    may = [verb.value for verb in desk.may(person, found)]
    return {**case(found), "text": found.text, "steps": steps, "may": may}


def step(found: Step) -> wire.Json:
    """One step; ``receipt`` is its entry of the log."""
    return {
        "verb": found.verb.value,
        "state": found.state.value,
        "person": found.person,
        "organisation": found.organisation,
        "hash": found.hash,
        "note": found.note,
        "time": found.time.isoformat(),
        "receipt": found.seq,
    }


def product(found: Product) -> wire.Json:
    """A product as its recipients see it: not its query."""
    fee = found.fee
    price = {"basis": fee.basis, "price": decimal(fee.price), "per": fee.per.value, "unit": fee.unit}
    return {
        "id": found.id,
        "grant": found.grant,
        "title": {"zh": found.title.zh, "en": found.title.en},
        "form": found.form.value,
        "parameters": {name: kind.value for name, kind in found.parameters},
        "schedule": found.schedule,
        "to": list(found.to),
        "fee": price,
        "hash": found.hash,
    }


def statement(month: str, lines: Iterable[Line]) -> wire.Json:
    """A month's deliveries; amounts are exact decimals, as text."""
    return {"month": month, "lines": [line(one) for one in lines]}


def line(found: Line) -> wire.Json:
    """One line of a statement; ``entries`` are those of the log that it counts."""
    return {
        "recipient": found.recipient,
        "provider": found.provider,
        "product": found.product,
        "price": found.price,
        "per": found.per,
        "unit": found.unit,
        "deliveries": found.deliveries,
        "amount": found.amount,
        "entries": found.entries,
    }
