from __future__ import annotations

from sandbox.model import Derivation
from sandbox.privacy.explain import PUBLIC, derivation, guarantee, predicted
from sandbox.privacy.release import Bounding
from sandbox.privacy.spend import half_width, selection_noise, selection_threshold, spend
from sandbox.privacy.tally import expected_cap
from sandbox.sql.relation import visible
from tests.support.plans import PURE, ZCDP, planned

SELECTED = "SELECT icd, COUNT(*) AS n, SUM(fee) AS s FROM claim GROUP BY icd"
SHARED = "SELECT hi, COUNT(DISTINCT pid) AS u FROM (SELECT pid, MAX(icd) AS hi FROM claim GROUP BY pid) AS t GROUP BY hi"


def parts_of(tree: Derivation, name: str) -> list[Derivation]:
    found = [tree] if tree.label == name else []
    return found + [part for child in tree.children for part in parts_of(child, name)]


def fact(tree: Derivation, name: str) -> str:
    return dict(tree.facts)[name]


def test_every_number_of_a_derivation_is_the_one_in_force() -> None:
    made = planned(SELECTED)
    tree = derivation(made, ZCDP)
    priced = made.priced[0]
    parts = spend(priced, made.measure)
    assert fact(tree, "accounting") == "zcdp"
    assert fact(tree, "cost_rho") == f"d/person: {made.accounts[0][1].nano}e-9"
    (release,) = tree.children
    assert (fact(release, "reads"), fact(release, "unit"), fact(release, "nano")) == (
        "d.claim",
        "person",
        str(priced.nano),
    )
    (bound,) = parts_of(tree, "bounding")
    assert fact(bound, "form") == Bounding.PAIRS
    (chosen,) = parts_of(tree, "selection")
    assert fact(chosen, "threshold") == str(selection_threshold(parts, priced))
    spent = [
        int(fact(d, "nano"))
        for name in ("selection", "measure", "cap", "second draw")
        for d in parts_of(tree, name)
        if "nano" in dict(d.facts)
    ]
    assert sum(spent) == priced.nano
    scales = [fact(d, "noise_scale") for d in parts_of(tree, "mechanism")]
    assert f"{float(selection_noise(parts, priced.release).scale):.6g}" in scales


def test_a_declared_cap_and_a_pure_grant() -> None:
    made = planned("SELECT city, COUNT(*), SUM(age) FROM person GROUP BY city", PURE)
    tree = derivation(made, PURE)
    assert "cost_epsilon" in dict(tree.facts)
    assert fact(parts_of(tree, "key")[0], "domain") == "4 declared values"
    assert {fact(d, "from") for d in parts_of(tree, "cap")} == {"declared rows and ranges"}
    assert all("L1_sensitivity_squared" in dict(d.facts) for d in parts_of(tree, "mechanism"))
    assert fact(parts_of(tree, "measure")[1], "row_range") == "[0, 100]"


def test_a_shared_draw_is_said_once() -> None:
    tree = derivation(planned(SHARED), ZCDP)
    assert fact(parts_of(tree, "measure")[0], "drawn").startswith("with the selection")
    assert len(parts_of(tree, "mechanism")) == 1


def test_predictions_of_columns_that_are_released_as_they_stand() -> None:
    made = planned(
        f"SELECT icd, s, n, n + 1, rank() OVER (ORDER BY n) FROM ({SELECTED}) AS t WHERE n > 3 ORDER BY n"
    )
    shown = [predicted(made, i) for i in visible(made.post)]
    parts, release = spend(made.priced[0], made.measure), made.priced[0].release
    sums = half_width(release, parts, 1, expected_cap(release.measures[1])) / 100
    assert shown == ["", f"≤ ±{sums:.6g}", shown[2], "", ""]
    assert shown[2].startswith("±")
    one = planned("SELECT COUNT(*) FROM item")
    assert predicted(one, 0).startswith("≤ ±")
    shared = planned(SHARED)
    width = selection_noise(spend(shared.priced[0], shared.measure), shared.priced[0].release).half_width()
    assert predicted(shared, 1) == f"±{width:.6g}"
    assert predicted(planned(f"SELECT n FROM ({SELECTED}) AS t UNION ALL SELECT 1"), 0) == ""


def test_the_guarantee_in_words() -> None:
    assert guarantee(planned("SELECT COUNT(*) FROM zone"), ZCDP) == PUBLIC
    zcdp = guarantee(planned("SELECT COUNT(*) FROM person"), ZCDP)[0]
    assert "delta=1e-06" in zcdp.en and "person" in zcdp.en
    pure = guarantee(planned("SELECT COUNT(*) FROM person", PURE), PURE)[0]
    assert "epsilon=1, delta=0" in pure.en
    assert derivation(planned("SELECT COUNT(*) FROM zone"), ZCDP).children == ()


def test_what_is_read_from_a_histogram_is_said() -> None:
    tree = str(derivation(planned("SELECT MIN(age), MEDIAN(age) FROM person"), ZCDP))
    assert "minimum: the value from where on counts stand out of the noise" in tree
    assert "quantile 0.5" in tree
    assert "101 of [0, 100], one for each value" in tree
    tree = str(derivation(planned("SELECT MAX(fee), COUNT(DISTINCT icd) FROM claim"), ZCDP))
    assert "maximum: the value" in tree
    assert "a second release looks into the cells" in tree
    assert "a unit's distinct pairs of group and value" in tree


def test_only_extremes_are_told_to_have_no_interval() -> None:
    for text, told in (("SELECT MAX(fee) FROM claim", True), ("SELECT MEDIAN(fee) FROM claim", False)):
        words = guarantee(planned(text), ZCDP)
        assert any("extreme quantiles" in w.en and "极端分位数" in w.zh for w in words) is told


def test_counts_beside_quantiles_keep_their_prediction() -> None:
    made = planned("SELECT city, COUNT(*), MEDIAN(age) FROM person GROUP BY city")
    assert predicted(made, 1).startswith("±")
    assert predicted(made, 2) == ""
    assert predicted(planned("SELECT MEDIAN(fee) FROM claim"), 0) == ""
