"""Dataset ``med`` of the invented province: residents, hospitals, health-insurance claims.

Claims per person follow a Pareto tail that grows with age (most people have none or a few, some
have hundreds); fees are lognormal by ICD-10 chapter; respiratory and circulatory claims peak in winter.
Fees are whole fen throughout, and the items of a claim add up to its fee exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from sandbox.demo.draws import Draws, Ints, cents, days, labels, numbered, zipf
from sandbox.demo.names import AGE_BANDS, CHAPTERS, CITIES, people, resident_numbers

FIRST_DAY: Final = date(2023, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
YEAR_STARTS: Final = np.array([0, 365, 731], dtype=np.int64)
SPAN: Final = 1096
MOST_CLAIMS: Final = 400
PER_CITY: Final = 20
GRADES: Final = ("三级甲等", "三级乙等", "二级甲等", "二级乙等", "一级")
GRADE_OF_RANK: Final = np.array([0, 0, 1, 1, *[2] * 8, *[3] * 5, *[4] * 3], dtype=np.int64)
GRADE_FEE: Final = np.array([1.8, 1.4, 1.0, 0.9, 0.6])
AWAY: Final = 0.1
AGE_CLAIMS: Final = np.array([1.0, 0.8, 1.8, 3.2])
NUMERALS: Final = (
    "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "十三", "十四",
    "十五", "十六", "十七", "十八", "十九", "二十",
)  # fmt: skip
DRUGS: Final = (
    "阿莫西林", "阿司匹林", "二甲双胍", "氨氯地平", "阿托伐他汀", "布洛芬", "头孢呋辛", "奥美拉唑",
    "左氧氟沙星", "氯吡格雷", "缬沙坦", "美托洛尔", "格列美脲", "甘精胰岛素", "门冬胰岛素",
    "孟鲁司特", "沙丁胺醇", "布地奈德", "氨溴索", "蒙脱石散", "双歧杆菌", "对乙酰氨基酚",
    "复方丹参", "连花清瘟", "板蓝根", "维生素C", "碳酸钙", "塞来昔布", "加巴喷丁", "艾司西酞普兰",
    "利伐沙班", "曲妥珠单抗", "奥沙利铂", "紫杉醇", "吉非替尼", "检查费", "化验费", "治疗费",
    "床位费", "手术费",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of one chunk of residents, before they become text: aligned arrays."""

    key: Ints
    owner: Ints
    hospital: Ints
    chapter: Ints
    day: Ints
    fee: Ints


def hospitals() -> pa.Table:
    """Twenty invented hospitals a city (public)."""
    number = np.arange(len(CITIES) * PER_CITY, dtype=np.int64)
    rank = number % PER_CITY
    return pa.table(
        {
            "hospital_id": numbered("H", number, 4),
            "name": pa.array(
                [f"{CITIES[n // PER_CITY].name}市第{NUMERALS[n % PER_CITY]}人民医院" for n in number.tolist()]
            ),
            "city": labels([c.name for c in CITIES], number // PER_CITY),
            "grade": labels(GRADES, GRADE_OF_RANK[rank]),
        }
    )


def chapters() -> pa.Table:
    """The ICD-10 chapters in use (public)."""
    return pa.table(
        {
            "icd_chapter": [c.code for c in CHAPTERS],
            "zh": [c.zh for c in CHAPTERS],
            "en": [c.en for c in CHAPTERS],
        }
    )


def chunks(draws: Draws, index: Ints) -> Iterator[tuple[str, pa.Table]]:
    """The protected tables' rows of the residents numbered ``index``, as (table, rows)."""
    city, band, male = _traits(draws, index)
    yield "person", _persons(draws, index, city, band, male)
    claims = _claims(draws, index, city, band)
    yield "claim", _claim_rows(claims)
    yield "claim_item", _items(draws, claims)


def planted(draws: Draws) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows that ingestion must put into quarantine, a few for each rule; see ``PLANTED``."""
    first = np.zeros(1, dtype=np.int64)
    twin = _persons(draws, first, *_traits(draws, first)).to_pylist()[0]
    stranger = {**twin, "person_id": "P99000001", "city": "石家庄"}
    nobody = {**twin, "person_id": None}
    yield "person", _like("person", draws, [twin, stranger, nobody])
    good: dict[str, object] = {
        "claim_id": "C99900000001", "person_id": twin["person_id"], "hospital_id": "H0001",
        "icd_chapter": "X", "settle_date": date(2024, 5, 6), "total_fee": 100,
    }  # fmt: skip
    wrong: list[dict[str, object]] = [
        {"claim_id": "C99900000001", "total_fee": -50},
        {"claim_id": "C99900000002", "total_fee": 99_999_999},
        {"claim_id": "C99900000003", "settle_date": date(2031, 1, 1)},
        {"claim_id": "C99900000004", "person_id": None},
    ]
    yield "claim", _like("claim", draws, [{**good, **row} for row in wrong])
    orphan: dict[str, object] = {"claim_id": "C99999999999", "drug": "阿司匹林", "amount": 10}
    yield "claim_item", _like("claim_item", draws, [orphan, {**orphan, "claim_id": None}])


PLANTED: Final = {"person": 3, "claim": 4, "claim_item": 2}
"""Bad rows by table: a second row of one person, a city outside the domain, no person number; two fees
outside the range, a date outside the range, no person number; an item of no claim, no claim number."""


def _like(table: str, draws: Draws, rows: list[dict[str, object]]) -> pa.Table:
    schema = dict(chunks(draws, np.zeros(1, dtype=np.int64)))[table].schema
    return pa.Table.from_pylist(rows, schema=schema)


def _traits(draws: Draws, index: Ints) -> tuple[Ints, Ints, Ints]:
    """City, age band and sex (1 = male) of residents."""
    city = draws.pick("city", index, [c.weight for c in CITIES])
    return city, draws.pick("band", index, (17, 36, 29, 18)), draws.below("sex", index, 2)


def _persons(draws: Draws, index: Ints, city: Ints, band: Ints, male: Ints) -> pa.Table:
    return pa.table(
        {
            "person_id": numbered("P", index, 8),
            "name": people(draws, index),
            "id_no": resident_numbers(draws, index, city, band, male),
            "city": labels([c.name for c in CITIES], city),
            "age_band": labels(AGE_BANDS, band),
            "sex": labels(("F", "M"), male),
        }
    )


def _ranks(counts: Ints) -> Ints:
    """0, 1, … within each group of ``counts`` rows."""
    starts = np.cumsum(counts) - counts
    return np.arange(counts.sum(), dtype=np.int64) - np.repeat(starts, counts)


def _claims(draws: Draws, index: Ints, city: Ints, band: Ints) -> Claims:
    expected = AGE_CLAIMS[band] * draws.pareto("claims", index, 1.6)
    counts = np.minimum(expected, MOST_CLAIMS).astype(np.int64)
    owner = np.repeat(index, counts)
    key = owner * 512 + _ranks(counts)
    chapter = draws.pick("chapter", key, [c.weight for c in CHAPTERS])
    hospital = _hospitals(draws, key, np.repeat(city, counts))
    fee = _fees(draws, key, chapter, hospital)
    return Claims(key, owner, hospital, chapter, _dates(draws, key, chapter), fee)


def _hospitals(draws: Draws, key: Ints, home: Ints) -> Ints:
    """Nine in ten claims are made in the home city, mostly in its large hospitals."""
    away = draws.uniform("away", key) < AWAY
    city = np.where(away, draws.pick("away/city", key, [c.weight for c in CITIES]), home)
    return np.asarray(city * PER_CITY + draws.pick("hospital", key, zipf(PER_CITY, 0.8)))


def _dates(draws: Draws, key: Ints, chapter: Ints) -> Ints:
    """Days from 1970; some claims of winter chapters are moved to January and February."""
    day = draws.below("day", key, SPAN)
    winter = np.array([c.winter for c in CHAPTERS])[chapter] / 2
    january = YEAR_STARTS[draws.below("year", key, 3)] + draws.below("january", key, 59)
    return np.asarray(FIRST_DAY + np.where(draws.uniform("winter", key) < winter, january, day))


def _fees(draws: Draws, key: Ints, chapter: Ints, hospital: Ints) -> Ints:
    """Fees in fen: lognormal around the chapter's median, dearer in higher grades, at least 5 yuan."""
    median = np.array([c.fee for c in CHAPTERS])[chapter] * GRADE_FEE[GRADE_OF_RANK[hospital % PER_CITY]]
    yuan = np.clip(median * np.exp(draws.normal("fee", key)), 5, 900_000)
    return np.asarray(np.rint(yuan * 100)).astype(np.int64)


def _claim_rows(claims: Claims) -> pa.Table:
    return pa.table(
        {
            "claim_id": numbered("C", claims.key, 11),
            "person_id": numbered("P", claims.owner, 8),
            "hospital_id": numbered("H", claims.hospital, 4),
            "icd_chapter": labels([c.code for c in CHAPTERS], claims.chapter),
            "settle_date": days(claims.day),
            "total_fee": cents(claims.fee),
        }
    )


def _items(draws: Draws, claims: Claims) -> pa.Table:
    """One to ten items a claim; their amounts are shares of the fee, cut at whole fen."""
    counts = 1 + np.minimum(-1.6 * np.log(draws.uniform("items", claims.key)), 9).astype(np.int64)
    claim = np.repeat(claims.key, counts)
    rank = _ranks(counts)
    key = claim * 16 + rank
    weight = 1 + draws.below("weight", key, 1000)
    ends = np.cumsum(weight)
    last = np.cumsum(counts) - 1
    before = np.repeat(ends[last] - np.add.reduceat(weight, last - counts + 1) if len(last) else ends, counts)
    total = np.repeat(np.diff(ends[last], prepend=0), counts)
    fee = np.repeat(claims.fee, counts)
    amount = fee * (ends - before) // total - fee * (ends - before - weight) // total
    return pa.table(
        {
            "claim_id": numbered("C", claim, 11),
            "drug": labels(DRUGS, draws.pick("drug", key, zipf(len(DRUGS), 0.9))),
            "amount": cents(amount),
        }
    )
