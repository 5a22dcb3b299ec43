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
    (Agg("median", Col(5)), Code.AGGREGATE),
    (Agg("count", Col(4), distinct=True), Code.AGGREGATE),
])  # fmt: skip
def test_what_cannot_be_protected_is_refused(agg: Agg, code: Code) -> None:
    """Whatever ``authorize`` has said: distinct values of any other column are not distinct units."""
    with pytest.raises(Refusal) as caught:
        plan(aggregate(scan(CLAIMS), [], [("x", agg)]), ZCDP, Fraction(1))
    assert caught.value.reasons[0].code is code


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(Refusal) as caught:
        desugar((Agg("sum", Col(3)),), scan(PEOPLE))
    assert caught.value.reasons[0].code is Code.TYPE
