"""What a grant opens: listed columns only, facts of public tables only, the strictest numbers."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from fractions import Fraction

import pytest

from sandbox.catalogue import Catalogue, KeyPath, Table, Unit, Use
from sandbox.errors import Code, Refusal
from sandbox.policy.canonical import canonical, fingerprint
from sandbox.policy.documents import Documents, Grant, Share
from sandbox.policy.effective import PublicFacts, effective, grantable
from sandbox.policy.floor import FLOOR


def grant_of(documents: Documents, grant: str, **changes: object) -> Grant:
    found = documents.grant(grant)
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]  # a test helper over many fields


def table_of(catalogue: Catalogue, name: str) -> Table:
    (table,) = catalogue.find(name)
    return table


FACTS = {
    "med.hospital": PublicFacts(30, {"grade": ("甲", "乙")}, frozenset({"hospital_id"})),
    "med.claim": PublicFacts(99, {"icd_chapter": ("A",)}, frozenset({"person_id"})),
    "other.table": PublicFacts(5),
}


def test_only_what_is_listed_exists(documents: Documents) -> None:
    catalogue = effective(grant_of(documents, "G-2025-017"), documents.datasets, {})
    assert [t.id for t in catalogue.tables] == ["med.person", "med.claim", "med.hospital"]
    claim, hospital = table_of(catalogue, "claim"), table_of(catalogue, "hospital")
    assert [c.name for c in claim.columns] == [
        "person_id",
        "hospital_id",
        "icd_chapter",
        "settle_date",
        "total_fee",
    ]
    assert claim.unit == Unit("person", "med/person", "person_id")
    assert (claim.rows, claim.extent, claim.several_units) == (60, None, False)
    assert [c.name for c in hospital.columns] == ["hospital_id", "grade"]
    assert hospital.public and hospital.extent is None
    person = table_of(catalogue, "person")
    assert {c.name: c.per_unit for c in person.columns} == {
        "person_id": False,
        "city": True,
        "age_band": True,
        "sex": True,
    }
    fee = claim.column("total_fee")
    assert fee is not None
    assert (fee.use, fee.scale) == (frozenset({Use.MEASURE, Use.FILTER}), Fraction(1, 100))
    assert catalogue.joins == {
        frozenset({"med.claim.person_id", "med.person.person_id"}),
        frozenset({"med.claim.hospital_id", "med.hospital.hospital_id"}),
    }


def test_facts_count_for_public_tables_only(documents: Documents) -> None:
    grant = grant_of(documents, "G-2025-017")
    catalogue = effective(grant, documents.datasets, FACTS)
    hospital, claim = table_of(catalogue, "hospital"), table_of(catalogue, "claim")
    grade, key = hospital.column("grade"), hospital.column("hospital_id")
    assert hospital.extent == 30
    assert grade is not None and grade.domain == ("甲", "乙") and not grade.unique
    assert key is not None and key.unique and key.domain is None
    chapter, unit = claim.column("icd_chapter"), claim.column("person_id")
    assert claim.extent is None
    assert chapter is not None and chapter.domain is None
    assert unit is not None and not unit.unique


def test_a_declared_domain_stands_before_a_found_one(documents: Documents) -> None:
    med = documents.datasets[0]
    tables = tuple(
        replace(t, columns=tuple(replace(c, domain=("丙",)) for c in t.columns)) if t.public else t
        for t in med.tables
    )
    catalogue = effective(grant_of(documents, "G-2025-017"), [replace(med, tables=tables)], FACTS)
    grade = table_of(catalogue, "hospital").column("grade")
    assert grade is not None and grade.domain == ("丙",)


def test_columns_unique_together_count_where_all_are_open(documents: Documents) -> None:
    med = documents.datasets[0]
    key = ("hospital_id", "grade")
    tables = tuple(replace(t, unique=(key,)) if t.public else t for t in med.tables)
    datasets = [replace(med, tables=tables)]
    grant = grant_of(documents, "G-2025-017")
    assert table_of(effective(grant, datasets, {}), "hospital").unique == (key,)
    part = replace(grant, data=(*grant.data[:2], ("med.hospital", ("hospital_id",))))
    assert table_of(effective(part, datasets, {}), "hospital").unique == ()


def test_version_follows_documents_and_facts_behind_the_grant(documents: Documents) -> None:
    grant = grant_of(documents, "G-2025-017")

    def version(facts: dict[str, PublicFacts], grant: Grant = grant) -> str:
        return effective(grant, documents.datasets, facts).version

    assert version(FACTS) == version({"med.hospital": FACTS["med.hospital"]})
    versions = {
        version({}),
        version(FACTS),
        version({"med.hospital": PublicFacts(31)}),
        version({}, replace(grant, hash="other")),
        effective(grant, [replace(d, hash="x") for d in documents.datasets], {}).version,
        effective(grant, documents.datasets, {}, replace(FLOOR, units=6)).version,
    }
    assert len(versions) == 6
    assert effective(grant, documents.datasets[:1], {}).version == version({})


def test_unit_column_and_path_show_only_if_granted(documents: Documents) -> None:
    data = (("med.claim_item", ("claim_id", "drug")), ("med.claim", ("claim_id", "total_fee")))
    grant = grant_of(documents, "G-2025-017", data=data)
    item, claim = effective(grant, documents.datasets, {}).tables
    assert item.paths == (KeyPath("claim_id", "med.claim", "claim_id"),)
    assert (item.unit, claim.unit) == (Unit("person", "med/person", None),) * 2
    assert claim.paths == ()
    without = grant_of(documents, "G-2025-017", data=(("med.claim_item", ("drug",)),))
    catalogue = effective(without, documents.datasets, {})
    assert catalogue.tables[0].paths == ()
    assert catalogue.joins == frozenset()


def test_several_units(documents: Documents) -> None:
    med = documents.datasets[0]
    person = med.tables[0]
    two = replace(person, units=(*person.units, replace(person.units[0], kind="household")))
    grant = grant_of(documents, "G-2025-017", data=(("med.person", ("city",)),), joins=())
    (table,) = effective(grant, [replace(med, tables=(two,))], {}).tables
    assert table.several_units and table.unit == Unit("person", "med/person", None)


def test_what_may_not_be_granted_is_left_out(documents: Documents) -> None:
    med = documents.datasets[0]
    grant = grant_of(documents, "G-2025-017", data=(("med.person", ("city", "id_no")),), joins=())
    (table,) = effective(grant, documents.datasets, {}).tables
    assert [c.name for c in table.columns] == ["city"]
    withheld = replace(med, share=Share.NONE)
    (table,) = effective(grant, [withheld], {}).tables
    assert table.columns == ()
    city = med.tables[0].columns[1]
    assert grantable(city, med) and not grantable(city, withheld)
    assert grantable(replace(city, share=Share.CONDITIONAL), withheld)
    assert not grantable(replace(city, use=frozenset()), med)


def test_grid_is_never_below_the_floor(documents: Documents) -> None:
    grant = grant_of(documents, "G-2025-022")
    (table,) = effective(grant, documents.datasets, {}).tables
    assert table.grid == documents.datasets[1].tables[0].grid
    (table,) = effective(grant, documents.datasets, {}, replace(FLOOR, units=20, dominance=30)).tables
    assert table.grid is not None
    assert (table.grid.units, table.grid.dominance) == (20, Fraction(30))


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        (("nothing.person", ("city",)), "nothing.person"),
        (("med.nothing", ("city",)), "med.nothing"),
        (("med.person", ("city", "nothing")), "med.person.nothing"),
        (("med.person", None), "med.person"),
    ],
)
def test_a_grant_that_does_not_fit_is_refused(
    documents: Documents, data: tuple[str, tuple[str, ...] | None], subject: str
) -> None:
    with pytest.raises(Refusal) as caught:
        effective(grant_of(documents, "G-2025-017", data=(data,)), documents.datasets, {})
    assert [(r.code, r.subject) for r in caught.value.reasons] == [(Code.DOCUMENT, subject)]
    assert caught.value.reasons[0].hint_zh


def test_canonical_form() -> None:
    assert canonical({"b": [Fraction(1, 2), Fraction(4, 2)], "a": None}) == (
        '{"a":null,"b":["#list",["#number","1/2"],2]}'
    )
    assert canonical(0.5) == canonical(Fraction(1, 2)) != canonical("1/2")
    assert canonical(float("nan")) == '["#float","nan"]'
    assert canonical([dt.date(2025, 1, 1), True, "甲"]) == '["#list",["#date","2025-01-01"],true,"甲"]'
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len(fingerprint(None)) == 64
