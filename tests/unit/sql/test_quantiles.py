"""How quantiles and aggregates of pairs are written, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sandbox.errors import Code, Refusal
from sandbox.sql.compile import compile_relation
from sandbox.sql.expressions import Agg, Literal
from sandbox.sql.parse import parse
from sandbox.sql.relation import Aggregate, Relation, walk
from sandbox.sql.resolve.query import resolve
from tests.support.worlds import CATALOGUE


def read(text: str) -> Relation:
    return resolve(parse(text), CATALOGUE)


def only(text: str) -> Agg:
    ((agg,),) = (n.aggs for n in walk(read(text)) if isinstance(n, Aggregate))
    return agg


@pytest.mark.parametrize(
    ("call", "name", "share"),
    [
        ("quantile_cont(beds, 0.25)", "quantile_cont", Fraction(1, 4)),
        ("quantile_disc(beds, 1)", "quantile_disc", Fraction(1)),
        ("quantile(beds, 0)", "quantile_disc", Fraction(0)),
        ("percentile_cont(0.25) WITHIN GROUP (ORDER BY beds)", "quantile_cont", Fraction(1, 4)),
        ("percentile_cont(0.25) WITHIN GROUP (ORDER BY beds DESC)", "quantile_cont", Fraction(3, 4)),
        ("percentile_disc(0.9) WITHIN GROUP (ORDER BY beds)", "quantile_disc", Fraction(9, 10)),
    ],
)
def test_a_quantile_has_a_column_and_a_share(call: str, name: str, share: Fraction) -> None:
    agg = only(f"SELECT {call} FROM hospital")
    assert agg.name == name
    assert isinstance(agg.by, Literal)
    assert agg.by.value == share


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("quantile_cont(beds, rate)", Code.ARGUMENT),
        ("quantile_cont(beds, 1.5)", Code.ARGUMENT),
        ("quantile_cont(beds, TRUE)", Code.ARGUMENT),
        ("percentile_cont(0.5)", Code.ARGUMENT),
        ("quantile_cont(beds, [0.1, 0.2])", Code.FUNCTION),
        ("quantile_cont(grade, 0.5)", Code.TYPE),
        ("quantile_disc(grade, 0.5)", Code.TYPE),
        ("percentile_cont(beds, 0.5) WITHIN GROUP (ORDER BY beds)", Code.CONSTRUCT),
        ("percentile_cont(0.5) WITHIN GROUP (ORDER BY beds, rate)", Code.CONSTRUCT),
        ("percentile_disc(0.5) WITHIN GROUP (ORDER BY beds DESC)", Code.CONSTRUCT),
        ("sum(beds) WITHIN GROUP (ORDER BY beds)", Code.CONSTRUCT),
        ("quantile_cont(beds, 0.5) OVER ()", Code.FUNCTION),
        ("sum(quantile_cont(beds, 0.5))", Code.CONSTRUCT),
        ("corr(beds, grade)", Code.TYPE),
        ("corr(beds, rate) OVER ()", Code.FUNCTION),
    ],
)
def test_other_forms_are_refused(call: str, code: Code) -> None:
    with pytest.raises(Refusal) as caught:
        read(f"SELECT {call} FROM hospital")
    assert caught.value.reasons[0].code is code


def test_pairs_of_one_unit_are_refused_and_quantiles_are_not() -> None:
    with pytest.raises(Refusal) as caught:
        read("SELECT pid, corr(fee, n) AS c FROM claim GROUP BY pid")
    assert caught.value.reasons[0].code is Code.AGGREGATE
    text = compile_relation(read("SELECT pid, quantile_cont(fee, 0.9) AS q FROM claim GROUP BY pid"))
    assert "quantile_cont(" in text
    assert "CAST('0.9' AS DOUBLE)" in text


def test_what_is_undefined_is_null_and_not_nan() -> None:
    text = compile_relation(read("SELECT corr(beds, rate), covar_pop(beds, rate) FROM hospital"))
    assert text.count("nullif(") == 1
