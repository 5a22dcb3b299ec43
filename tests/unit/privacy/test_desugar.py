from __future__ import annotations

from fractions import Fraction

import pytest

from sandbox.errors import Code, Refusal
from sandbox.privacy.desugar import desugar
from sandbox.privacy.plan import plan
from sandbox.privacy.release import What
from sandbox.sql.build import aggregate, scan
from sandbox.sql.expressions import Agg, Col
from tests.support.plans import ZCDP, planned
from tests.support.worlds import CLAIMS, PEOPLE


def whats(text: str) -> list[What]:
    return [m.what for m in planned(text).priced[0].release.measures]


def test_aggregates_become_few_sums() -> None:
    assert (
        whats("SELECT COUNT(*), COUNT(pid), COUNT(fee), COUNT(*) FILTER (WHERE n > 1) FROM claim")
        == [What.ROWS] * 3
    )
    assert whats("SELECT AVG(fee), SUM(fee), COUNT(fee) FROM claim") == [What.SUM, What.ROWS]
    assert whats(
        "SELECT VAR_SAMP(fee), VAR_POP(fee), STDDEV_SAMP(fee), STDDEV_POP(fee), AVG(fee) FROM claim"
    ) == [
        What.SUM,
        What.ROWS,
        What.SUM,
    ]
    assert (
        whats("SELECT COUNT(DISTINCT pid), COUNT(DISTINCT pid) FILTER (WHERE n > 1) FROM claim")
        == [What.UNITS] * 2
    )


def test_a_filter_and_nulls_join_in_one_condition() -> None:
    (measure,) = planned("SELECT COUNT(fee) FILTER (WHERE n > 1) FROM claim").priced[0].release.measures
    assert measure.where is not None
    assert measure.text.startswith("rows(;and(")


@pytest.mark.parametrize(("agg", "code"), [
    (Agg("string_agg", Col(4), option=","), Code.AGGREGATE),
    (Agg("arg_min", Col(4), by=Col(5)), Code.AGGREGATE),
    (Agg("median", Col(7)), Code.NO_BOUND),
    (Agg("min", Col(1)), Code.TYPE),
    (Agg("max", Col(4)), Code.TYPE),
])  # fmt: skip
def test_what_cannot_be_protected_is_refused(agg: Agg, code: Code) -> None:
    """Whatever ``authorize`` has said."""
    with pytest.raises(Refusal) as caught:
        plan(aggregate(scan(CLAIMS), [], [("x", agg)]), ZCDP, Fraction(1))
    assert caught.value.reasons[0].code is code


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(Refusal) as caught:
        desugar((Agg("sum", Col(3)),), scan(PEOPLE))
    assert caught.value.reasons[0].code is Code.TYPE


def test_pairs_share_their_moments_and_count_rows_in_which_neither_is_null() -> None:
    measures = (
        planned("SELECT CORR(fee, n), REGR_SLOPE(fee, n), COVAR_POP(fee, n), REGR_COUNT(fee, n) FROM claim")
        .priced[0]
        .release.measures
    )
    assert [m.what for m in measures].count(What.ROWS) == 1
    assert len(measures) == 6
    assert len({m.where for m in measures}) == 1
    assert all(m.where is not None for m in measures)


def test_a_value_is_centred_only_where_that_is_sure_to_help() -> None:
    def largest(text: str) -> Fraction:
        (total, *_) = [m for m in planned(text).priced[0].release.measures if m.what is What.SUM]
        return max(abs(total.low), abs(total.high))

    # One row a unit: the cap is fixed, and half the range is less.
    assert largest("SELECT AVG(age) FROM person") == 50
    assert largest("SELECT AVG(age), SUM(age) FROM person") == 100
    assert largest("SELECT VAR_POP(age + 0.5) FROM person") == 50
    # A cap is searched: values may be small where the range is wide, unless it lies far from zero.
    assert largest("SELECT AVG(fee) FROM claim") == 500
    assert largest("SELECT AVG(fee + 1000) FROM claim") == 250
    assert largest("SELECT AVG(-fee - 1000) FROM claim") == 250
    assert largest("SELECT AVG(n + 5000) FROM claim") == 1000


def test_sums_asked_for_serve_as_moments() -> None:
    assert whats("SELECT SUM(age), AVG(age), VAR_SAMP(age) FROM person") == [What.SUM, What.ROWS, What.SUM]


def test_quantiles_of_one_column_share_a_histogram() -> None:
    texts = {
        "SELECT MEDIAN(fee), QUANTILE_CONT(fee, 0.5) FROM claim": 2,
        "SELECT MEDIAN(fee), QUANTILE_CONT(fee, 0.9), MAX(fee) FROM claim": 4,
        "SELECT MEDIAN(fee), MEDIAN(n) FILTER (WHERE fee > 1) FROM claim": 4,
        "SELECT MIN(age), MEDIAN(age), MAX(age) FROM person": 1,
        "SELECT COUNT(*), MIN(age) FROM person": 2,
        "SELECT icd, MEDIAN(fee) FROM claim GROUP BY icd": 3,
        "SELECT COUNT(DISTINCT icd), COUNT(DISTINCT pid) FROM claim": 2,
    }
    assert {text: len(planned(text).priced) for text in texts} == texts


def test_a_quantile_is_one_question_whatever_is_asked_for_beside_it() -> None:
    alone, beside, other, filtered = (
        [p.release.identity for p in planned(text).priced]
        for text in (
            "SELECT MEDIAN(fee) FROM claim",
            "SELECT QUANTILE_CONT(fee, 0.1), QUANTILE_DISC(fee, 0.5) FROM claim",
            "SELECT QUANTILE_CONT(fee, 0.6) FROM claim",
            "SELECT MEDIAN(fee) FROM claim WHERE n > 1",
        )
    )
    assert alone[0] == beside[0] == other[0]
    assert alone[1] == beside[2] != beside[1]
    assert len({alone[1], beside[1], other[1], *filtered}) == 5
