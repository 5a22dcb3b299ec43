"""Products: what an organisation makes or may have, delivered for parameters; and the month's statement."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from starlette.responses import Response

from sandbox.casework.month import ZONE
from sandbox.console.page import Page, get, post
from sandbox.console.visit import Visit
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.model import Refused
from sandbox.policy.documents import Product
from sandbox.policy.parts import decimal
from sandbox.policy.roles import Action, may
from sandbox.policy.workflow.persons import can_open
from sandbox.policy.workflow.states import Kind

PARAMETER: Final = "p-"
"""Before the name of a parameter in a form, so that none is taken for another field."""


def products(visit: Visit) -> Response:
    """All products of this organisation, made or received."""
    listed = visit.console.gateway.products.list(visit.person)
    return visit.page(
        "products.html",
        listed=listed,
        price=price,
        opens=can_open(Kind.PRODUCT, visit.person),
        statements=may(visit.person, Action.STATEMENTS),
    )


def product(visit: Visit) -> Response:
    """One product, and the form for its parameters."""
    return _product(visit, _found(visit))


def deliver(visit: Visit) -> Response:
    """The product for the parameters in the form."""
    wanted = _found(visit)
    given = {n.removeprefix(PARAMETER): v for n, v in visit.fields.items() if n.startswith(PARAMETER)}
    try:
        found = visit.console.gateway.products.deliver(visit.person, wanted.id, given)
    except Refusal as refusal:
        return _product(visit, wanted, refusal.reasons)
    if isinstance(found, Refused):
        return _product(visit, wanted, found.reasons)
    visit.console.kept.put(visit.person, found, product=wanted)
    return visit.go(f"/answers/{found.request}")


def statement(visit: Visit) -> Response:
    """What was delivered in a month, and what is owed for it; this month's until one is chosen."""
    month = visit.asked("month") or f"{visit.now.astimezone(ZONE):%Y-%m}"
    lines = visit.console.gateway.products.statement(visit.person, month)
    units = sorted({line.unit for line in lines})
    totals = [(unit, sum(Decimal(line.amount) for line in lines if line.unit == unit)) for unit in units]
    return visit.page("statement.html", month=month, lines=lines, totals=totals)


def price(found: Product) -> str:
    """The fee, exactly."""
    return decimal(found.fee.price)


def _found(visit: Visit) -> Product:
    id = visit.request.path_params["id"]
    for found in visit.console.gateway.products.list(visit.person):
        if found.id == id:
            return found
    raise refuse(Code.NOT_FOUND, f"product {id[:80]!a}")


def _product(visit: Visit, found: Product, reasons: tuple[Reason, ...] = ()) -> Response:
    grant = visit.console.gateway.documents().grant(found.grant)
    assert grant is not None  # a rule between documents
    return visit.page(
        "product.html",
        reasons[0].code.status if reasons else 200,
        product=found,
        maker=grant.to,
        mine=visit.person.organisation in (*found.to, grant.to),
        price=price,
        given=visit.fields,
        prefix=PARAMETER,
        reasons=reasons,
        asked="",
        incident="",
    )


PAGES: Final[tuple[Page, ...]] = (
    get("/products", Action.PRODUCTS, products),
    get("/products/{id}", Action.PRODUCTS, product),
    post("/products/{id}", Action.PRODUCTS, deliver),
    get("/statement", Action.STATEMENTS, statement),
)
