"""Products over HTTP: an approved query, with the recipient's parameters, delivered, metered and billed.

Invariants:
- a recipient reaches the approved query alone: parameters are literals of their types (``product_reader``);
- it is asked under the product's grant like any query: period, freezes, budget and quota hold, and the same
  question over the same snapshot is the same kept answer;
- what left is on record before it leaves, with the fee in force then: statements are made from the log alone.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from sandbox.casework import month as months
from sandbox.errors import Code, refuse
from sandbox.model import Answer, LogEntry, Person, Refused, Request
from sandbox.policy.documents import Documents, FeePer, Product
from sandbox.policy.parts import decimal
from sandbox.policy.product_reader import filled
from sandbox.policy.roles import Action, Role, check, may
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.replay import replay


@dataclass(slots=True)
class Line:
    """One line of a month's statement: what one recipient had of one product at one price."""

    recipient: str
    provider: str
    product: str
    price: str
    per: str
    unit: str
    deliveries: int = 0
    entries: list[int] = field(default_factory=list)

    @property
    def amount(self) -> str:
        """What is owed, exactly."""
        times = self.deliveries if self.per == FeePer.DELIVERY else 1
        return format(Decimal(self.price) * times, "f")


class Products:
    """See the module.  ``documents``: those in force; ``ask``: the gateway's journey of a query."""

    def __init__(
        self,
        database: Database,
        log: AuditLog,
        documents: Callable[[], Documents],
        ask: Callable[[Request], Answer | Refused],
        now: Callable[[], dt.datetime],
    ) -> None:
        self._database = database
        self._log = log
        self._documents = documents
        self._ask = ask
        self._now = now

    def list(self, person: Person) -> tuple[Product, ...]:
        """The products that this person's organisation makes or may have; all for the bureau."""
        documents = self._documents()
        return tuple(p for p in documents.products if _sees(person, p, documents))

    def deliver(self, person: Person, id: str, given: Mapping[str, str]) -> Answer | Refused:
        """The product for these parameters.

        Refuses ``NOT_FOUND`` to who is no recipient, ``REQUEST`` for parameters that are not as declared.
        """
        documents = self._documents()
        product = documents.product(id)
        if product is None or not _has(person, product, documents):
            raise refuse(Code.NOT_FOUND, f"product {id[:80]!a}")
        sql = filled(product, given)
        provider = _provider(product, documents)
        maker = Person(f"product {product.id}", Role.OPERATOR.value, provider)
        request = Request(uuid.uuid4().hex, maker, product.grant, sql, product.epsilon, self._now())
        found = self._ask(request)
        if isinstance(found, Answer):
            self._meter(person, product, provider, given, found)
        return found

    def statement(self, person: Person, month: str) -> tuple[Line, ...]:
        """What was delivered in a month (``YYYY-MM``), from the log: to or by this organisation.

        The bureau sees all.  Refuses ``REQUEST`` for what is no month.
        """
        check(person, Action.STATEMENTS)
        wanted = months.month(month)
        lines = statement(replay(self._database, (Event.DELIVERY,), wanted.since, wanted.until))
        mine, everything = (person.organisation,), may(person, Action.ALL_ENTRIES)
        return tuple(x for x in lines if everything or x.recipient in mine or x.provider in mine)

    def _meter(
        self, person: Person, product: Product, provider: str, given: Mapping[str, str], found: Answer
    ) -> None:
        fee = {"price": _plain(product.fee.price), "per": product.fee.per.value, "unit": product.fee.unit}
        facts = {"product": product.id, "hash": product.hash, "parameters": dict(given), "provider": provider}
        self._log.append(
            Event.DELIVERY,
            time=self._now(),
            request=found.request,
            person=person.name,
            organisation=person.organisation,
            grant=product.grant,
            decision="delivered",
            payload=facts | fee | {"outcome": found.receipt, "snapshot": found.snapshot},
        )


def statement(entries: Iterable[LogEntry]) -> tuple[Line, ...]:
    """Lines by recipient, product and price, from deliveries."""
    found: dict[tuple[str, ...], Line] = {}
    for entry in entries:
        told = json.loads(entry.payload)
        provider, product = str(told["provider"]), str(told["product"])
        fee = (str(told["price"]), str(told["per"]), str(told["unit"]))
        key = (entry.organisation, provider, product, *fee)
        line = found.setdefault(key, Line(entry.organisation, provider, product, *fee))
        line.deliveries += 1
        line.entries.append(entry.seq)
    return tuple(found[key] for key in sorted(found))


def _has(person: Person, product: Product, documents: Documents) -> bool:
    return person.organisation in (*product.to, _provider(product, documents))


def _sees(person: Person, product: Product, documents: Documents) -> bool:
    return may(person, Action.ALL_ENTRIES) or _has(person, product, documents)


def _provider(product: Product, documents: Documents) -> str:
    grant = documents.grant(product.grant)
    assert grant is not None  # a rule between documents
    return grant.to


def _plain(price: Fraction) -> str:
    return format(Decimal(decimal(price)), "f")
