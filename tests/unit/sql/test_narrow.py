"""Conditions narrow the declared values of the columns they test, and nothing else."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sandbox.catalogue import Kind, Range
from sandbox.sql.expressions import Call, Col, Expr, Facts, Literal
from sandbox.sql.narrow import narrowed
from sandbox.sql.relation import Field

MONTH = Field("month", Facts(Kind.INTEGER, True, domain=(1, 2, 3, 4)))
PLACE = Field("place", Facts(Kind.STRING, False, domain=("a", "b")))
FEE = Field("fee", Facts(Kind.INTEGER, True, Range(Fraction(0), Fraction(9))))
FIELDS = (MONTH, PLACE, FEE)


def number(value: int) -> Expr:
    return Literal(value, Kind.INTEGER)


def domains(predicate: Expr) -> tuple[object, ...]:
    return tuple(f.facts.domain for f in narrowed(FIELDS, predicate))


def test_each_conjunct_narrows_its_column() -> None:
    low, here = Call("le", (Col(0), number(2))), Call("eq", (Col(1), Literal("b", Kind.STRING)))
    assert domains(Call("and", (low, here))) == ((1, 2), ("b",), None)


def test_a_column_that_passed_a_comparison_is_not_null_and_one_tested_for_null_is() -> None:
    compared, empty = Call("le", (Col(0), number(2))), Call("is_null", (Col(0),))
    assert not narrowed(FIELDS, compared)[0].facts.nullable
    either = narrowed(FIELDS, Call("or", (compared, empty)))[0].facts
    assert either.nullable and either.domain == (1, 2)


@pytest.mark.parametrize(
    "predicate",
    [
        Call("gt", (Col(0), number(9))),  # nothing is left: the domain stays
        Call("gt", (Col(2), number(3))),  # no declared values
        Call("eq", (Col(0), Col(2))),  # two columns
        Call("lt", (number(2), number(1))),  # none
    ],
)
def test_what_is_not_read_changes_nothing(predicate: Expr) -> None:
    assert narrowed(FIELDS, predicate) == FIELDS
