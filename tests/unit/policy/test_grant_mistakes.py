"""One test a mistake in grant documents, alone and together with their datasets."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from sandbox.policy.documents import DpGuard, ExactGuard, Grant, Release
from sandbox.policy.floor import FLOOR
from sandbox.policy.load import Source, read


class Case(NamedTuple):
    """Replace ``old`` by ``new`` in the examples; one mistake, on the line that then starts with ``line``."""

    old: str
    new: str
    line: str
    key: str
    found: str
    expected: str


PERSON = "med.person: [person_id, city, age_band, sex]"
USAGE = "data: {power.usage: [uscc, city, industry2, month, kwh]}"
EXACT = "guard: {mode: exact, queries: {day: 500, total: 20000}}"
JOIN = "- [med.claim.hospital_id, med.hospital.hospital_id]"
DP_EPSILON = "epsilon: {query: 0.5, total: 8}"


def person(new: str, found: str, expected: str) -> Case:
    return Case(PERSON, f"med.person: {new}", "med.person:", "data.med.person", found, expected)


def join(new: str, found: str, expected: str, item: str = "[2]") -> Case:
    return Case(JOIN, f"- {new}", f"- {new}", f"joins{item}", found, expected)


MISTAKES = {
    "no purpose": Case(
        "purpose: 费率测算；不得用于个人核保\n",
        "",
        "kind: grant",
        "purpose",
        "nothing",
        "purpose, and what is not allowed",
    ),
    "id": Case("id: G-2025-017", "id: G 17", "id: G 17", "id", "G 17", "an id of letters, digits and . _ -"),
    "id a number": Case(
        "id: G-2025-017", "id: 17", "id: 17", "id", "17", "an id of letters, digits and . _ -"
    ),
    "scenario": Case(
        "{id: S-031, zh: 商业健康险产品定价, en: Commercial health-insurance pricing}",
        "S-031",
        "scenario: S-031",
        "scenario",
        "S-031",
        "a mapping of id, zh, en",
    ),
    "period without end": Case(
        "period: {from: 2025-07-01, until: 2027-06-30}",
        "period: {from: 2025-07-01}",
        "period: {from: 2025-07-01}",
        "period.until",
        "nothing",
        "the last day, included",
    ),
    "period a word": Case(
        "period: {from: 2025-07-01, until: 2027-06-30}",
        "period: always",
        "period: always",
        "period",
        "always",
        "a mapping of from, until",
    ),
    "period turned round": Case(
        "until: 2027-06-30",
        "until: 2025-06-30",
        "period:",
        "period",
        "2025-07-01 – 2025-06-30",
        "from, not after until",
    ),
    "period too long": Case(
        "until: 2027-06-30",
        "until: 2036-06-30",
        "period:",
        "period",
        "2025-07-01 – 2036-06-30",
        "at most ten years",
    ),
    "no such day": Case(
        "until: 2027-06-30",
        "until: 2027-06-31",
        "period:",
        "period.until",
        "2027-06-31",
        "a day as YYYY-MM-DD",
    ),
    "a day and a time": Case(
        "until: 2027-06-30",
        "until: 2027-06-30T10:00:00",
        "period:",
        "period.until",
        "2027-06-30T10:00:00",
        "a day as YYYY-MM-DD",
    ),
    "a list for a day": Case(
        "until: 2027-06-30", "until: [2027]", "period:", "period.until", "a list", "a day as YYYY-MM-DD"
    ),
    "dataset unknown": Case(
        USAGE, "data: {powr.usage: [city]}", "data:", "data.powr.usage", "dataset powr", "did you mean power"
    ),
    "table unknown": Case(
        USAGE,
        "data: {power.usages: [city]}",
        "data:",
        "data.power.usages",
        "table usages",
        "did you mean usage",
    ),
    "table without dataset": Case(
        USAGE, "data: {usage: [city]}", "data:", "data.usage", "usage", "dataset.table"
    ),
    "nothing granted": Case(USAGE, "data: {}", "data:", "data", "a mapping", "a mapping of dataset.table"),
    "column unknown": person("[person_id, cities]", "cities", "did you mean city"),
    "column withheld": person(
        "[person_id, city, id_no]", "id_no", "a column that may be shared: its share is none"
    ),
    "no columns": person("[]", "a list", "a list of 1 – 1000 items"),
    "all of a protected table": person("all", "all", "the columns one by one: the table is protected"),
    "another word": Case(USAGE, "data: {power.usage: most}", "data:", "data.power.usage", "most", "all"),
    "column of no use": Case(
        USAGE,
        "data: {power.usage: [city, meter_id]}",
        "data:",
        "data.power.usage",
        "meter_id",
        "a column that has a use: its use is []",
    ),
    "join on a column not granted": join(
        "[med.claim.claim_id, med.hospital.hospital_id]", "med.claim.claim_id", "a column that `data` grants"
    ),
    "join on a table not granted": join(
        "[med.claim.hospital_id, med.claim_item.claim_id]",
        "med.claim_item.claim_id",
        "a column that `data` grants",
    ),
    "join on no column": join(
        "[med.claim.hospital_id, med.hospital.nothing]", "med.hospital.nothing", "a column that `data` grants"
    ),
    "join without use": join(
        "[med.person.city, med.hospital.hospital_id]", "med.person.city", "a column with use join"
    ),
    "join of one": join("[med.claim.hospital_id]", "a list", "a list of 2 – 2 items"),
    "join of a short name": join(
        "[med.claim.hospital_id, hospital_id]", "hospital_id", "dataset.table.column", "[2][2]"
    ),
    "mode": Case("mode: dp", "mode: dpp", "mode:", "guard.mode", "dpp", "did you mean dp"),
    "no mode": Case(EXACT, "guard: {queries: {day: 5}}", "guard:", "guard.mode", "nothing", "dp or exact"),
    "no guard": Case(EXACT + "\n", "", "kind: grant", "guard", "nothing", "how answers are protected"),
    "epsilon above the floor": Case(
        DP_EPSILON,
        "epsilon: {query: 5.5, total: 8}",
        "epsilon:",
        "guard.epsilon.query",
        "5.5",
        "a number above 0 and of at most 5",
    ),
    "epsilon total above the floor": Case(
        DP_EPSILON,
        "epsilon: {query: 1, total: 21}",
        "epsilon:",
        "guard.epsilon.total",
        "21",
        "a number above 0 and of at most 20",
    ),
    "epsilon zero": Case(
        DP_EPSILON,
        "epsilon: {query: 0, total: 8}",
        "epsilon:",
        "guard.epsilon.query",
        "0",
        "a number above 0 and of at most 5",
    ),
    "epsilon infinite": Case(
        DP_EPSILON,
        "epsilon: {query: .inf, total: 8}",
        "epsilon:",
        "guard.epsilon.query",
        ".inf",
        "a number above 0 and of at most 5",
    ),
    "epsilon not a number": Case(
        DP_EPSILON,
        "epsilon: {query: .nan, total: 8}",
        "epsilon:",
        "guard.epsilon.query",
        ".nan",
        "a number above 0 and of at most 5",
    ),
    "epsilon turned round": Case(
        DP_EPSILON,
        "epsilon: {query: 4, total: 2}",
        "epsilon:",
        "guard.epsilon",
        "query above total",
        "query of at most total",
    ),
    "no epsilon": Case(
        "  " + DP_EPSILON + "\n", "", "mode: dp", "guard.epsilon", "nothing", "the privacy budget"
    ),
    "epsilon a number": Case(
        DP_EPSILON, "epsilon: 8", "epsilon: 8", "guard.epsilon", "8", "a mapping of query, total"
    ),
    "no delta": Case(
        "  delta: 1.0e-7\n", "", "mode: dp", "guard.delta", "nothing", "delta; 0 asks for pure epsilon"
    ),
    "delta above the floor": Case(
        "delta: 1.0e-7",
        "delta: 2.0e-5",
        "delta:",
        "guard.delta",
        "2.0e-5",
        "a number of at least 0 and of at most 0.00001",
    ),
    "delta below zero": Case(
        "delta: 1.0e-7",
        "delta: -1.0e-7",
        "delta:",
        "guard.delta",
        "-1.0e-7",
        "a number of at least 0 and of at most 0.00001",
    ),
    "groups": Case("groups: 12", "groups: 0", "groups:", "guard.groups", "0", "a whole number, 1 – 1000000"),
    "units below the floor": Case(
        "groups: 12", "units: 4", "units:", "guard.units", "4", "a whole number, 5 – 1000000"
    ),
    "quota in mode dp": Case(
        "groups: 12",
        "queries: {day: 1}",
        "queries:",
        "guard.queries",
        "queries in mode dp",
        "the numbers of this mode",
    ),
    "delta in mode exact": Case(
        EXACT,
        "guard: {mode: exact, delta: 0}",
        "guard:",
        "guard.delta",
        "delta in mode exact",
        "the numbers of this mode",
    ),
    "quota": Case(
        EXACT,
        "guard: {mode: exact, queries: {day: -1}}",
        "guard:",
        "guard.queries.day",
        "-1",
        "a whole number, 1 – 1000000000",
    ),
    "release": Case(
        "release: auto", "release: automatic", "release:", "release", "automatic", "did you mean auto"
    ),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES.keys())
def test_one_mistake(examples: str, case: Case) -> None:
    assert case.old in examples
    text = examples.replace(case.old, case.new, 1)
    checked = read([Source("g.yaml", text)])
    (mistake,) = checked.mistakes
    assert (mistake.key, mistake.found, mistake.expected.en) == (case.key, case.found, case.expected)
    assert mistake.expected.zh and mistake.file == "g.yaml"
    assert text.splitlines()[mistake.line - 1].strip().startswith(case.line)
    assert (len(checked.documents.datasets), len(checked.documents.grants)) == (2, 1)


@pytest.mark.parametrize(
    ("old", "new", "key", "found"),
    [
        (EXACT, "guard: {mode: dp, epsilon: {query: 1, total: 2}, delta: 0}", "release", "auto"),
        (USAGE, "data: {power.usage: [city], med.person: [city]}", "guard", "exact over med.person"),
    ],
)
def test_rules_between_guard_and_data(examples: str, old: str, new: str, key: str, found: str) -> None:
    (mistake,) = read([Source("g", examples.replace(old, new, 1))]).mistakes
    assert (mistake.key, mistake.found) == (key, found)


def _last_grant(text: str) -> Grant:
    checked = read([Source("g", text)])
    assert checked.mistakes == ()
    return checked.documents.grants[-1]


def test_important_data_take_two_people_unless_over_the_grid(examples: str) -> None:
    assert _last_grant(examples).release is Release.AUTO
    two = examples.replace(EXACT, "guard: {mode: dp, epsilon: {query: 1, total: 2}, delta: 0}")
    head, _, tail = two.rpartition("release: auto")
    assert _last_grant(f"{head}release: two-person{tail}").release is Release.TWO_PERSON


def test_missing_release_brings_no_second_mistake(examples: str) -> None:
    text = examples.replace(EXACT, "guard: {mode: dp, epsilon: {query: 1, total: 2}, delta: 0}")
    head, _, tail = text.rpartition("release: auto")
    assert [m.found for m in read([Source("g", head + tail)]).mistakes] == ["nothing"]


def test_defaults_of_guards_are_the_strictest(examples: str) -> None:
    guard = _last_grant(examples.replace(EXACT, "guard: {mode: exact}")).guard
    assert guard == ExactGuard(None, None)
    text = examples.replace("  groups: 12\n", "").replace("power.usage: [uscc", "power.usage: [uscc")
    dp = read([Source("g", text)]).documents.grants[0].guard
    assert isinstance(dp, DpGuard)
    assert (dp.groups, dp.units) == (1, FLOOR.units)


def test_all_of_a_withheld_public_table(examples: str) -> None:
    text = examples.replace("share: conditional", "share: none", 1)
    found = [(m.key, m.found) for m in read([Source("g", text)]).mistakes]
    assert ("data.med.hospital", "all") in found
    assert ("data.med.claim", "total_fee") in found


def test_a_self_join_may_be_listed(examples: str) -> None:
    text = examples.replace(JOIN, "- [med.person.person_id, med.person.person_id]")
    assert read([Source("g", text)]).mistakes == ()


def test_a_join_of_two_types(examples: str) -> None:
    text = examples.replace("hospital_id: {type: string, use", "hospital_id: {type: integer, use")
    (mistake,) = read([Source("g", text)]).mistakes
    assert (mistake.key, mistake.found) == ("joins[2]", "integer = string")


def test_a_broken_dataset_is_not_held_against_its_grants(examples: str) -> None:
    broken = read([Source("g", examples.replace("rows: 60", "rows: 0"))])
    assert [m.key for m in broken.mistakes] == ["tables.claim.rows"]
    med, rest = examples.split("---\n", 1)
    unreadable = read([Source("med", "kind: [dataset"), Source("g", rest)])
    assert [m.file for m in unreadable.mistakes] == ["med"]
    assert med.startswith("# Health")


def test_a_document_that_is_no_mapping_below_its_kind() -> None:
    assert [m.key for m in read([Source("g", "kind: grant\n")]).mistakes] == [
        "id",
        "to",
        "scenario",
        "purpose",
        "period",
        "data",
        "guard",
        "release",
    ]
