"""The grant a query would need: it loads, it is the smallest, and what may not be granted is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from sandbox.errors import Code, Refusal
from sandbox.policy.documents import Documents, DpGuard, ExactGuard, Grant, Mode, Release, Scenario, Title
from sandbox.policy.draft import DP, EXACT, Need, Terms, draft
from sandbox.policy.load import Source, read

SCENARIO = Scenario("S-9", Title('定价 "新"', "Pricing: {new} # now"))
TERMS = Terms("甲公司", SCENARIO, "费率测算 'x' \\ y", dt.date(2026, 1, 1), dt.date(2026, 12, 31))
NEED = Need(
    {"med.person": ("sex", "city", "person_id", "city"), "med.claim": ("person_id", "total_fee")},
    (("med.person.person_id", "med.claim.person_id"), ("med.claim.person_id", "med.person.person_id")),
    Mode.DP,
)


def loaded(text: str, examples: str) -> Grant:
    checked = read([Source("examples", examples), Source("draft", text)])
    assert checked.mistakes == ()
    return checked.documents.grants[-1]


def test_round_trip(documents: Documents, examples: str) -> None:
    grant = loaded(draft("G-9", TERMS, NEED, documents.datasets), examples)
    assert (grant.id, grant.to, grant.scenario, grant.purpose) == ("G-9", TERMS.to, SCENARIO, TERMS.purpose)
    assert (grant.start, grant.until) == (TERMS.start, TERMS.until)
    assert grant.data == (
        ("med.claim", ("person_id", "total_fee")),
        ("med.person", ("city", "person_id", "sex")),
    )
    assert grant.joins == (("med.claim.person_id", "med.person.person_id"),)
    assert isinstance(grant.guard, DpGuard) and grant.guard == DP
    assert grant.release is Release.AUTO


def test_exact_and_important(documents: Documents, examples: str) -> None:
    need = Need({"power.usage": ("city", "kwh")}, (), Mode.EXACT)
    exact = loaded(draft("G-9", TERMS, need, documents.datasets), examples)
    assert isinstance(exact.guard, ExactGuard) and exact.guard == EXACT
    assert (exact.release, exact.joins) == (Release.AUTO, ())
    dp = loaded(draft("G-9", TERMS, replace(need, mode=Mode.DP), documents.datasets), examples)
    assert dp.release is Release.TWO_PERSON


@pytest.mark.parametrize(
    ("need", "found"),
    [
        (replace(NEED, columns={"med.person": ("id_no", "nothing")}, joins=()), ["id_no", "nothing"]),
        (replace(NEED, mode=Mode.EXACT), ["exact over med.claim", "exact over med.person"]),
        (replace(NEED, columns={}, joins=()), ["–"]),
    ],
)
def test_what_cannot_be_granted_is_refused(documents: Documents, need: Need, found: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        draft("G-9", TERMS, need, documents.datasets)
    assert {r.code for r in caught.value.reasons} == {Code.DOCUMENT}
    assert len(caught.value.reasons) == len(found)
    for reason, word in zip(caught.value.reasons, found, strict=True):
        assert word == "–" or word in reason.subject


def test_texts_come_back_as_they_were(documents: Documents, examples: str) -> None:
    for to in ('"', "甲\u3000乙", "#", "'}: [", "\\n"):
        assert loaded(draft("G-9", replace(TERMS, to=to), NEED, documents.datasets), examples).to == to


@pytest.mark.parametrize("to", ["a\nrelease: auto", "a\x85b", "a\u2028b", "", "\ud800", "a\u202eb"])
def test_no_text_breaks_out_of_its_place(documents: Documents, to: str) -> None:
    with pytest.raises(Refusal) as caught:
        draft("G-9", replace(TERMS, to=to), NEED, documents.datasets)
    assert [r.code for r in caught.value.reasons] == [Code.DOCUMENT]


def test_a_dataset_that_is_not_there_is_refused(documents: Documents) -> None:
    with pytest.raises(Refusal, match="dataset med"):
        draft("G-9", TERMS, replace(NEED, joins=()), documents.datasets[1:])
