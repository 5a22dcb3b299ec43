"""The audits, small: no bound exceeds its claim, and every planted bug is proved to break one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sandbox.privacy import plan as planning
from sandbox.privacy import protect as protecting
from sandbox.privacy import selection as selecting
from sandbox.privacy import spend as spending
from sandbox.privacy.mechanisms import Mechanism
from sandbox.privacy.tally import Tally, found_edges
from sandbox.sql.build import joins
from sandbox.sql.relation import Relation
from tests.audits import through_gateway
from tests.audits.arena import Scene
from tests.audits.cases import ONE, WHOLE, ZCDP, Case, busy, cases, run, wealthy
from tests.audits.epsilon import find
from tests.audits.estimate import Claim, Loss, Seen, clopper_pearson, lower_bound

ALPHA = 1e-6
FEW = 1000
Patch = pytest.MonkeyPatch
FOUR = Scene(WHOLE, ZCDP, ONE, wealthy(30, 4), busy(1), 1)
EVERY = {
    case.name: case
    for case in [*cases(), Case("caps found where four have what a unit has", run(FOUR), fewer=10)]
}


@pytest.mark.parametrize("name", [n for n, c in EVERY.items() if c.fewer == 1])
def test_no_bound_exceeds_its_claim(name: str) -> None:
    assert find(EVERY[name], FEW, ALPHA).ratio <= 1


@pytest.mark.parametrize("name", [n for n, c in EVERY.items() if c.fewer > 1])
def test_no_bound_exceeds_its_claim_where_every_draw_is_a_release(name: str) -> None:
    assert find(EVERY[name], 60 if EVERY[name].fewer == 10 else 30, ALPHA).ratio <= 1


def test_no_bound_exceeds_its_claim_through_the_gateway(tmp_path: Path) -> None:
    with_unit, without, claim = through_gateway.audit(tmp_path)
    assert 0 < lower_bound(with_unit, without, claim, ALPHA) <= claim.amount


def scaled(by: float) -> Callable[[Patch], None]:
    """Noise of a wrong scale."""

    def apply(patch: Patch) -> None:
        original = spending.noise

        def changed(*args: Any, **more: Any) -> Mechanism:
            made = original(*args, **more)
            return replace(made, scale=Fraction(float(made.scale) * by))

        patch.setattr(protecting, "noise", changed)

    return apply


def halved_sensitivity(patch: Patch) -> None:
    scaled(0.5)(patch)


def off_by_root_two(patch: Patch) -> None:
    scaled(math.sqrt(0.5))(patch)


def threshold_without_delta(patch: Patch) -> None:
    """The policy's floor alone."""
    patch.setattr(protecting, "selection_threshold", lambda parts, priced: priced.release.selection.units)


def one_group_in_the_threshold(patch: Patch) -> None:
    """The delta of a unit that brings one group, for units that bring several."""
    original = selecting.threshold
    patch.setattr(spending, "threshold", lambda noise, groups, delta, units: original(noise, 1, delta, units))


def bound_after_noise(patch: Patch) -> None:
    """Sums as they are; what is released is cut at the cap."""
    exact, shown = Tally.totals, protecting.shown_amounts
    patch.setattr(
        Tally, "totals", lambda self, j, cap: exact(self, j, found_edges(self.release.measures[j])[-1])
    )
    patch.setattr(
        protecting, "shown_amounts", lambda measure, amounts: shown(measure, np.clip(amounts, -2e6, 2e6))
    )


def unit_lost_in_a_join(patch: Patch) -> None:
    """The other side's row number passes for the unit."""
    original = joins._both_private

    def changed(kind: Any, left: Relation, right: Relation, on: Any, fields: Any) -> Relation:
        made = original(kind, left, right, on, fields)
        assert made.privacy is not None
        place = next(i for i, f in enumerate(fields) if f.name == "vid")
        return replace(made, privacy=replace(made.privacy, unit=place))

    patch.setattr(joins, "_both_private", changed)


def fan_out_ignored(patch: Patch) -> None:
    patch.setattr(joins, "fan_out", lambda public, on, offset, known: 1)


def every_column_pays_with_the_whole(patch: Patch) -> None:
    patch.setattr(spending, "split", lambda nano, weights: (nano,) * len(weights))


def every_release_pays_with_the_whole(patch: Patch) -> None:
    original = planning._price
    patch.setattr(
        planning,
        "_price",
        lambda built, cost: tuple(replace(p, nano=cost.nano) for p in original(built, cost)),
    )


def exact_histograms(patch: Patch) -> None:
    """Caps chosen from what is, as if the search were free."""
    free = SimpleNamespace(draw=list, half_width=lambda: 1.0)
    patch.setattr(protecting, "search_noise", lambda parts, j: free)


@pytest.mark.parametrize(
    ("bug", "name", "answers"),
    [
        (halved_sensitivity, "sums of rows, zCDP", 3000),
        (halved_sensitivity, "a unit in four groups, at a cap, zCDP", 1000),
        (halved_sensitivity, "counts of rows, pure", 6000),
        (off_by_root_two, "sums of rows, zCDP", 4000),
        (off_by_root_two, "a unit in one group, at a cap, zCDP", 4000),
        (threshold_without_delta, "selection: a key of one unit", 3000),
        (one_group_in_the_threshold, "selection: ten keys of one unit", 3000),
        (bound_after_noise, "a unit in one group, at a cap, zCDP", 3000),
        (unit_lost_in_a_join, "two protected tables joined, zCDP", 1000),
        (fan_out_ignored, "fan-out by a public table, zCDP", 3000),
        (every_column_pays_with_the_whole, "sums of rows, zCDP", 6000),
        (every_release_pays_with_the_whole, "two releases in one query, zCDP", 6000),
        (exact_histograms, "caps found where four have what a unit has", 300),
    ],
)
def test_the_audit_proves_a_planted_bug(
    bug: Callable[[Patch], None], name: str, answers: int, monkeypatch: Patch
) -> None:
    claimed = EVERY[name].start().claim
    bug(monkeypatch)
    audit = EVERY[name].start()
    # What the users are told stays what it was.
    case = Case(name, lambda: replace(audit, claim=claimed))
    assert find(case, answers, ALPHA).ratio > 1, "an audit that cannot fail is none"


@pytest.mark.parametrize(
    ("hits", "trials", "alpha", "limits"),
    [
        (0, 10, 0.025, (0.0, 0.308497)),
        (5, 10, 0.025, (0.187086, 0.812914)),
        (10, 10, 0.025, (0.691503, 1.0)),
        (1, 100, 0.05, (0.000513, 0.046560)),
        (37_000, 50_000, 1e-5, (0.731557, 0.748286)),
    ],
)
def test_exact_limits_of_a_probability(
    hits: int, trials: int, alpha: float, limits: tuple[float, float]
) -> None:
    """Figures from the textbook's table and, the last, from the normal approximation."""
    assert clopper_pearson(hits, trials, alpha) == pytest.approx(limits, abs=2e-4 if trials > 1000 else 1e-6)


def test_bounds_of_known_losses() -> None:
    """Samples whose true loss is known: bounds come close, from below; alike databases prove nothing."""
    random = np.random.default_rng(7)
    tags = np.zeros(200_000, dtype=np.int64)

    def seen(shift: float) -> Seen:
        return Seen(random.normal(shift, 1, len(tags)), tags)

    for loss, least in ((Loss.GAUSSIAN, 0.9), (Loss.ZCDP, 0.6)):
        assert least * 0.5 < lower_bound(seen(1), seen(0), Claim(loss, 0.5), ALPHA) < 0.5
    heads, tails = (Seen((random.random(len(tags)) < p).astype(np.float64), tags) for p in (0.75, 0.25))
    assert 0.95 * math.log(3) < lower_bound(heads, tails, Claim(Loss.PURE, 1), ALPHA) < math.log(3)
    assert lower_bound(heads, tails, Claim(Loss.DELTA, 1), ALPHA) == 0
    for loss in (Loss.PURE, Loss.ZCDP, Loss.GAUSSIAN):
        assert lower_bound(seen(0), seen(0), Claim(loss, 1), ALPHA) < 0.01


def test_what_is_discrete_counts_by_its_own_odds() -> None:
    random = np.random.default_rng(8)
    one, other = (
        Seen(np.zeros(20_000), random.choice(3, 20_000, p=p)) for p in ([0.2, 0.5, 0.3], [0.5, 0.2, 0.3])
    )
    assert 0.8 * math.log(2.5) < lower_bound(one, other, Claim(Loss.PURE, 1), ALPHA) < math.log(2.5)
