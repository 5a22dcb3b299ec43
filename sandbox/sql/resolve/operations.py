"""The calls that operators mean: compared like with like, negated, and folded where all is constant."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction

from sandbox.sql.expressions import Call, Expr, Facts, Literal
from sandbox.sql.facts import evaluate, facts_of
from sandbox.sql.functions.logic import held
from sandbox.sql.resolve import literals


class Operations(ABC):
    """Makes calls over columns of known facts."""

    @abstractmethod
    def facts(self) -> Sequence[Facts]:
        """Facts of the columns that expressions may mention."""

    def _operator(self, name: str, left: Expr, right: Expr) -> Expr:
        if name in ("eq", "ne", "lt", "le", "gt", "ge"):
            return self._compare(name, left, right)
        if name in ("and", "or"):
            parts = [
                p for e in (left, right) for p in (e.args if isinstance(e, Call) and e.name == name else (e,))
            ]
            return self._call(name, *parts)
        return self._call(name, left, right)

    def _compare(self, name: str, left: Expr, right: Expr) -> Expr:
        known = self.facts()
        left, right = literals.same_kind(left, right, facts_of(left, known).kind, facts_of(right, known).kind)
        if isinstance(left, Literal) and not isinstance(right, Literal):
            flipped = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
            left, right, name = right, left, flipped.get(name, name)
        return self._call(name, left, right)

    def _call(self, name: str, *args: Expr) -> Expr:
        call = Call(name, args)
        facts_of(call, self.facts())
        if all(isinstance(a, Literal) for a in args):
            return self._folded(call)
        return call

    def _folded(self, call: Call) -> Expr:
        exact = literals.exact(call)
        if exact is not None:
            return exact
        kind = facts_of(call, ()).kind
        value = held(evaluate(call, ()), kind)
        endless = isinstance(value, float) and not math.isfinite(value)
        return call if value is None or endless else Literal(value, kind)

    def _not(self, inner: Expr) -> Expr:
        flipped = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
        if isinstance(inner, Call) and inner.name in flipped:
            return Call(flipped[inner.name], inner.args)
        return self._call("not", inner)

    def _negative(self, inner: Expr) -> Expr:
        if isinstance(inner, Literal) and isinstance(inner.value, int | Fraction) and inner.kind.numeric:
            return Literal(-inner.value, inner.kind)
        return self._call("neg", inner)
