"""Sentences about a change: what it opens, what it closes, what it merely alters."""

from __future__ import annotations

import pytest

from sandbox.policy.diff import differences
from sandbox.policy.documents import Documents
from sandbox.policy.load import Source, read

CHANGES = [
    (
        "[person_id, city, age_band, sex]",
        "[person_id, city, sex]",
        ["Closes: grant G-2025-017 loses the column med.person.age_band."],
    ),
    (
        "[uscc, city, industry2, month, kwh]}",
        "[city, industry2, month, kwh]}",
        ["Closes: grant G-2025-022 loses the column power.usage.uscc."],
    ),
    (
        "med.hospital: all",
        "med.hospital: [hospital_id]",
        [
            "Opens: grant G-2025-017 gains the column med.hospital.hospital_id.",
            "Closes: grant G-2025-017 loses the column med.hospital.*.",
        ],
    ),
    ("total: 8}", "total: 10}", ["Opens: the epsilon in all of grant G-2025-017 goes from 8 to 10."]),
    (
        "query: 0.5",
        "query: 0.25",
        ["Closes: the epsilon of one query of grant G-2025-017 goes from 0.5 to 0.25."],
    ),
    ("delta: 1.0e-7", "delta: 0", ["Closes: the delta of grant G-2025-017 goes from 1E-7 to 0."]),
    (
        "groups: 12",
        "groups: 2",
        ["Changes: the groups a unit may bring of grant G-2025-017 goes from 12 to 2."],
    ),
    (
        "groups: 12",
        "groups: 12\n  units: 8",
        ["Closes: the fewest units of a group of grant G-2025-017 goes from 5 to 8."],
    ),
    (
        "  - [med.claim.hospital_id, med.hospital.hospital_id]\n",
        "",
        ["Closes: grant G-2025-017 loses the join med.claim.hospital_id = med.hospital.hospital_id."],
    ),
    (
        "until: 2027-06-30",
        "until: 2027-12-31",
        ["Opens: the last day of grant G-2025-017 goes from 2027-06-30 to 2027-12-31."],
    ),
    (
        "from: 2025-07-01, until: 2026",
        "from: 2025-08-01, until: 2026",
        ["Closes: the first day of grant G-2025-022 goes from 2025-07-01 to 2025-08-01."],
    ),
    ("day: 500, ", "", ["Opens: the queries a day of grant G-2025-022 goes from 500 to –."]),
    (
        "to: 晋数金科有限公司",
        "to: 甲公司",
        ["Changes: the operator of grant G-2025-022 goes from 晋数金科有限公司 to 甲公司."],
    ),
    (
        "release: auto",
        "release: review",
        ["Closes: the release of grant G-2025-017 goes from auto to review."],
    ),
    (
        "guard: {mode: exact, queries: {day: 500, total: 20000}}\nrelease: auto",
        "guard: {mode: dp, epsilon: {query: 1, total: 2}, delta: 0}\nrelease: two-person",
        [
            "Closes: the release of grant G-2025-022 goes from auto to two-person.",
            "Changes: the mode of grant G-2025-022 goes from exact to dp.",
        ],
    ),
    (
        "level: 4\nshare: conditional",
        "level: 4\nbudget: {epsilon: 5, delta: 1.0e-5}\nshare: unconditional",
        [
            "Opens: the share of dataset med goes from conditional to unconditional.",
            "Closes: the epsilon over all grants of dataset med goes from 20 to 5.",
        ],
    ),
    ("important: true\n", "", ["Opens: the mark as important of dataset power goes from true to false."]),
    (
        "drug:     {type: string, level: 3, use: [group, filter]}",
        "drug:     {type: string, level: 2, use: [group, join], nullable: true, domain: [a]}",
        [
            "Opens: the level of column med.claim_item.drug goes from 3 to 2.",
            "Opens: column med.claim_item.drug gains the use join.",
            "Closes: column med.claim_item.drug loses the use filter.",
            "Changes: the being nullable of column med.claim_item.drug goes from false to true.",
            "Opens: column med.claim_item.drug gains the domain value a.",
        ],
    ),
    (
        "range: [2023-01-01, 2025-12-31]",
        "range: [2023-01-01, 2026-12-31], step: month",
        [
            (
                "Changes: the range of column med.claim.settle_date goes "
                "from [2023-01-01, 2025-12-31] to [2023-01-01, 2026-12-31]."
            ),
            "Changes: the step of column med.claim.settle_date goes from – to month.",
        ],
    ),
    (
        "clip: [0, 200000], scale: 0.01",
        "clip: [0, 1000], scale: 0.1",
        [
            "Changes: the clip of column med.claim.total_fee goes from [0, 200000] to [0, 1000].",
            "Changes: the scale of column med.claim.total_fee goes from 0.01 to 0.1.",
        ],
    ),
    (
        "grade:       {type: string, use: [group, filter]}",
        "grade:       {type: integer, use: [group, filter], step: 2}",
        [
            "Changes: the type of column med.hospital.grade goes from string to integer.",
            "Changes: the step of column med.hospital.grade goes from – to 2.",
        ],
    ),
    ("rows: 60\n", "per_unit: [person_id2]\n", []),
    (
        "units: 10, dominance: 15, round: 10, outside_totals: [[city], [month]]",
        "units: 5, dominance: 20, round: 5",
        [
            "Opens: the fewest units behind a cell of table power.usage goes from 10 to 5.",
            "Closes: the p of the p%-rule of table power.usage goes from 15 to 20.",
            "Opens: the rounding of table power.usage goes from 10 to 5.",
            "Changes: the outside totals of table power.usage goes from city; month to –.",
        ],
    ),
    (
        "    unit: {person: [claim_id -> claim.claim_id, claim.person_id]}",
        "    public: true",
        [
            "Opens: the being public of table med.claim_item goes from false to true.",
            (
                "Changes: the unit of table med.claim_item goes "
                "from person: claim_id -> claim.claim_id, claim.person_id to –."
            ),
        ],
    ),
]


def texts(old: Documents, new: str) -> list[str]:
    checked = read([Source("new", new)])
    assert checked.mistakes == ()
    return [sentence.en for sentence in differences(old, checked.documents)]


@pytest.mark.parametrize(("old", "new", "sentences"), [c for c in CHANGES if c[2]])
def test_sentences(documents: Documents, examples: str, old: str, new: str, sentences: list[str]) -> None:
    assert old in examples
    assert texts(documents, examples.replace(old, new, 1)) == sentences


def test_no_change_no_sentence(documents: Documents, examples: str) -> None:
    assert texts(documents, "# another comment\n" + examples) == []


def test_documents_that_come_and_go(documents: Documents) -> None:
    less = Documents(documents.datasets[:1], documents.grants[:1])
    opened = [s.en for s in differences(less, documents)]
    closed = [s.en for s in differences(documents, less)]
    assert opened[:2] == [
        "Opens: the policy gains the dataset power.",
        "Opens: the policy gains the grant G-2025-022.",
    ]
    assert "Opens: dataset power gains the table usage." in opened
    assert "Opens: grant G-2025-022 gains the column power.usage.kwh." in opened
    assert "Opens: column power.usage.kwh gains the use measure." in opened
    assert all(s.startswith("Opens: ") for s in opened)
    assert [s.replace("Closes:", "Opens:").replace("loses", "gains") for s in closed] == opened


def test_both_languages(documents: Documents, examples: str) -> None:
    new = read([Source("new", examples.replace("total: 8}", "total: 10}"))]).documents
    assert [s.zh for s in differences(documents, new)] == ["放开：授权 G-2025-017的总 epsilon由 8 改为 10。"]
    less = Documents(documents.datasets, documents.grants[1:])
    assert differences(documents, less)[0].zh == "收紧：政策去掉授权 G-2025-017。"
