"""Plans over the catalogue of ``worlds``, in one line."""

from __future__ import annotations

from fractions import Fraction

from sandbox.policy.documents import DpGuard
from sandbox.privacy.plan import Plan, plan
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from tests.support.worlds import CATALOGUE

ZCDP = DpGuard(Fraction(1), Fraction(8), Fraction(1, 10**6), 3, 20)
PURE = DpGuard(Fraction(1), Fraction(8), Fraction(0), 3, 20)


def planned(text: str, guard: DpGuard = ZCDP, epsilon: str = "1") -> Plan:
    """The plan of a text: parsed, resolved, simplified, not authorised."""
    return plan(simplify(resolve(parse(text), CATALOGUE)), guard, Fraction(epsilon))
