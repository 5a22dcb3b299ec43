from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sandbox.errors import Code, Refusal
from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import Measure
from sandbox.privacy.mechanisms import Noise
from sandbox.privacy.plan import Plan
from sandbox.privacy.spend import (
    noise,
    search_noise,
    selection_noise,
    selection_threshold,
    spend,
)
from sandbox.privacy.tally import fine_bits
from tests.support.plans import PURE, ZCDP, planned

TEXTS = (
    "SELECT COUNT(*) FROM person",
    "SELECT icd, COUNT(*), SUM(fee), COUNT(DISTINCT pid) FROM claim GROUP BY icd",
    "SELECT hi, COUNT(DISTINCT pid), SUM(s) FROM (SELECT pid, MAX(icd) AS hi, SUM(fee) AS s FROM claim GROUP BY pid) AS t GROUP BY hi",
    "SELECT region, AVG(fee), COUNT(*) FROM claim GROUP BY region",
    "SELECT drug, COUNT(*) FROM item GROUP BY drug",
    "SELECT DISTINCT region FROM claim",
)


def plans() -> list[Plan]:
    declared = [t for t in TEXTS if "icd" not in t and "drug" not in t]
    return [*(planned(t) for t in TEXTS), *(planned(t, PURE) for t in declared)]


def test_what_is_drawn_costs_what_is_charged() -> None:
    """The exact costs of all mechanisms of a release add up to at most its part, at any cap."""
    for made in plans():
        for priced in made.priced:
            parts, release = spend(priced, made.measure), priced.release
            total = Fraction(0)
            for j, measure in enumerate(release.measures):
                if j != parts.shared:
                    dearest = max(
                        noise(release, parts, j, cap).cost_in(made.measure) for cap in {1, measure.upper}
                    )
                    total += dearest
                    if parts.columns[j].far:
                        far = noise(release, parts, j, measure.upper, far=True)
                        total += far.cost_in(made.measure)
                        assert far.noise is noise(release, parts, j, measure.upper).noise
            searched = [j for j, m in enumerate(release.measures) if m.search]
            total += sum(search_noise(parts, j).cost_in(made.measure) for j in searched)
            if release.selection is not None:
                total += selection_noise(parts, release).cost_in(made.measure)
            assert total * 10**9 <= priced.nano


def test_the_noise_fits_the_norm_that_statements_clip() -> None:
    """L2 clipping never meets Laplace noise, nor L1 clipping Gaussian noise."""
    for made in plans():
        kind = Noise.LAPLACE if made.measure is Measure.PURE else Noise.GAUSSIAN
        for priced in made.priced:
            parts = spend(priced, made.measure)
            for j, measure in enumerate(priced.release.measures):
                if j != parts.shared:
                    for cap in (1, 2, measure.upper):
                        mechanism = noise(priced.release, parts, j, cap)
                        assert mechanism.noise is kind
                        assert mechanism.sensitivity_squared == (cap << fine_bits(priced.release, cap)) ** 2


def test_cells_with_a_searched_cap_are_drawn_twice_and_a_lone_cell_once() -> None:
    for text, twice in (
        ("SELECT drug, COUNT(*) FROM item GROUP BY drug", True),
        ("SELECT COUNT(*) FROM item", False),
    ):
        made = planned(text)
        (column,) = spend(made.priced[0], made.measure).columns
        assert column.search > 0
        assert (column.far > 0) is twice
        assert column.noise > 3 * column.far


def test_one_draw_for_the_selection_and_its_count() -> None:
    shared = planned(TEXTS[2]).priced[0].release
    assert shared.shared == 0
    assert planned(TEXTS[1]).priced[0].release.shared is None
    assert planned(TEXTS[3]).priced[0].release.shared is None


def test_too_little_for_too_many_columns_is_refused() -> None:
    priced = replace(planned(TEXTS[1]).priced[0], nano=3)
    with pytest.raises(Refusal) as caught:
        spend(priced, Measure.ZCDP)
    assert caught.value.reasons[0].code is Code.EPSILON
    without = replace(planned("SELECT DISTINCT icd FROM claim").priced[0], nano=0)
    with pytest.raises(Refusal):
        spend(without, Measure.ZCDP)


def test_too_little_delta_is_refused() -> None:
    tiny = DpGuard(ZCDP.query, ZCDP.total, Fraction(1, 10**18), 3, 20)
    made = planned("SELECT icd, COUNT(*) FROM claim GROUP BY icd", tiny, "0.001")
    parts = spend(made.priced[0], made.measure)
    with pytest.raises(Refusal) as caught:
        selection_threshold(parts, made.priced[0])
    assert caught.value.reasons[0].code is Code.EPSILON
    fine = planned("SELECT icd, COUNT(*) FROM claim GROUP BY icd")
    assert selection_threshold(spend(fine.priced[0], fine.measure), fine.priced[0]) >= 20
