"""Reading files: the examples load; what is no document is a mistake with its place."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from pathlib import Path

import pytest

from sandbox.catalogue import Grid, KeyPath, Range, Use
from sandbox.errors import Code, Refusal
from sandbox.policy.documents import (
    Budget,
    Documents,
    DpGuard,
    ExactGuard,
    Mode,
    Release,
    Share,
    UnitRule,
    Why,
)
from sandbox.policy.load import Source, check, load, read
from sandbox.policy.mistakes import quote
from sandbox.policy.tree import LARGEST_FILE

MINIMAL = """\
kind: dataset
id: d
title: {zh: 甲, en: A}
owner: 甲局
class: 甲
level: 1
share: unconditional
snapshot: once
tables:
  t: {public: true, columns: {no: {type: integer}, on: {type: string}}}
"""


def test_examples_load_without_mistakes(examples: str) -> None:
    checked = read([Source("examples.yaml", examples)])
    assert checked.mistakes == ()
    assert [d.id for d in checked.documents.datasets] == ["med", "power"]
    assert [g.id for g in checked.documents.grants] == ["G-2025-017", "G-2025-022"]
    assert [(p.id, p.grant) for p in checked.documents.products] == [("P-044-1", "G-2025-022")]


def test_dataset_values(documents: Documents) -> None:
    med = documents.dataset("med")
    assert med is not None
    assert (med.level, med.share, med.snapshot, med.important, med.budget) == (
        4,
        Share.CONDITIONAL,
        "monthly",
        False,
        None,
    )
    assert med.class_path == ("卫生健康", "医疗保障")
    assert med.why == Why("含敏感个人信息", "个人信息保护法第二十八条")
    item, claim, hospital = med.table("claim_item"), med.table("claim"), med.table("hospital")
    assert item is not None and claim is not None and hospital is not None
    assert item.units == (UnitRule("person", "person_id", (KeyPath("claim_id", "claim", "claim_id"),)),)
    assert claim.rows == 60
    fee, settled, chain = claim.column("total_fee"), claim.column("settle_date"), hospital.column("grade")
    assert fee is not None and settled is not None and chain is not None
    assert (fee.clip, fee.scale) == (Range(Fraction(0), Fraction(200_000)), Fraction(1, 100))
    first, last = dt.date(2023, 1, 1).toordinal(), dt.date(2025, 12, 31).toordinal()
    assert settled.range == Range(Fraction(first), Fraction(last))
    assert (chain.level, chain.nullable) == (1, False)
    assert claim.column("nothing") is None and med.table("nothing") is None


def test_grid_and_grants(documents: Documents) -> None:
    power, dp, exact = (
        documents.dataset("power"),
        documents.grant("G-2025-017"),
        documents.grant("G-2025-022"),
    )
    assert power is not None and dp is not None and exact is not None
    assert power.important
    assert power.tables[0].grid == Grid(
        ("city", "industry2", "month"), 10, Fraction(15), 10, (("city",), ("month",))
    )
    assert dp.guard == DpGuard(Fraction(1, 2), Fraction(8), Fraction(1, 10**7), groups=12, units=5)
    assert (dp.mode, dp.release, dp.data[-1]) == (Mode.DP, Release.AUTO, ("med.hospital", None))
    assert (exact.mode, exact.guard) == (Mode.EXACT, ExactGuard(500, 20_000))
    assert (dp.start, dp.until) == (dt.date(2025, 7, 1), dt.date(2027, 6, 30))
    assert documents.grant("G-0") is None and documents.dataset("x") is None


def test_no_and_on_are_names_and_public_columns_are_open() -> None:
    dataset = read([Source("a", MINIMAL)]).documents.datasets[0]
    number, text = dataset.tables[0].columns
    assert (number.name, text.name) == ("no", "on")
    assert number.use == {Use.GROUP, Use.FILTER, Use.JOIN, Use.MEASURE}
    assert text.use == {Use.GROUP, Use.FILTER, Use.JOIN}


def test_budget_is_exact() -> None:
    text = MINIMAL + "budget: {epsilon: 12.5, delta: 1.0e-6}\n"
    assert read([Source("a", text)]).documents.datasets[0].budget == Budget(
        Fraction(25, 2), Fraction(1, 10**6)
    )


def test_hash_is_of_the_content_and_not_of_the_spelling() -> None:
    def hash_of(text: str) -> str:
        return read([Source("a", text)]).documents.datasets[0].hash

    again = MINIMAL.replace("level: 1", "level:   1.0  # a comment").replace(
        "owner: 甲局", "'owner': \"甲局\""
    )
    assert hash_of(again) == hash_of(MINIMAL)
    assert hash_of(MINIMAL.replace("level: 1", "level: 2")) != hash_of(MINIMAL)


NOT_YAML = [
    ("bracket", "a: [1\nb: 2\n", 2, "text that is not YAML"),
    ("tab", "a:\n\t- 1\n", 2, "text that is not YAML"),
    ("control", "a: \x07\n", 1, "text that is not YAML"),
    ("directive", "%YAML 9.9.9\n---\na: 1\n", 1, "text that is not YAML"),
    ("anchor", "kind: grant\nid: &x 1\n", 2, "an anchor or alias"),
    ("alias", "a: 1\nb: *x\n", 2, "an anchor or alias"),
    ("tag", "a: 1\nb: !!str 1\n", 2, "a tag"),
    ("python tag", "a: !!python/object/apply:os.system [ls]\n", 1, "a tag"),
    ("deep", "a: " + "[" * 20 + "]" * 20, 1, "deep nesting"),
    ("list key", "a: 1\n? [x]\n: 1\n", 2, "a key that is not a word"),
    ("empty", "", 1, "nothing"),
    ("only a comment", "# nothing here\n---\n...\n", 1, "nothing"),
    ("large", "#" * (LARGEST_FILE + 1), 1, f"{LARGEST_FILE + 1} characters"),
]


@pytest.mark.parametrize(("text", "line", "found"), [c[1:] for c in NOT_YAML], ids=[c[0] for c in NOT_YAML])
def test_text_that_is_no_document(text: str, line: int, found: str) -> None:
    checked = read([Source("dir/a.yaml", text)])
    assert [(m.file, m.line, m.found) for m in checked.mistakes] == [("dir/a.yaml", line, found)]
    assert checked.documents == Documents()


def test_a_deep_bomb_is_refused_without_recursion() -> None:
    checked = read([Source("a", "[" * 200_000)])
    assert len(checked.mistakes) == 1


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("kind: datasett\n", "datasett", "did you mean dataset"),
        ("id: x\n", "nothing", "one of: dataset, grant, source, product"),
        ("- kind\n", "nothing", "one of: dataset, grant, source, product"),
        ("kind: [dataset]\n", "nothing", "one of: dataset, grant, source, product"),
    ],
)
def test_unknown_kind(text: str, found: str, expected: str) -> None:
    (mistake,) = read([Source("a", text)]).mistakes
    assert (mistake.line, mistake.key, mistake.found, mistake.expected.en) == (1, "kind", found, expected)


def test_duplicate_keys_are_refused_where_they_stand_again() -> None:
    (mistake,) = read([Source("a", MINIMAL + "owner: 乙局\n")]).mistakes
    assert (mistake.line, mistake.key, mistake.found) == (11, "owner", "the same key again")


def test_an_id_stands_once(examples: str) -> None:
    checked = read(
        [Source("a", examples), Source("b", MINIMAL + "---\n" + MINIMAL.replace("id: d", "id: D"))]
    )
    (mistake,) = checked.mistakes
    assert (mistake.file, mistake.line, mistake.key) == ("b", 12, "id")
    assert mistake.expected.en == "an id of its own: b:1 has it"


def test_every_mistake_at_once_in_order(examples: str) -> None:
    broken = examples.replace("level: 4\nshare: conditional", "level: 9\nshare: sometimes").replace(
        "release: auto", "release: now"
    )
    mistakes = read([Source("a", broken)]).mistakes
    assert [m.key for m in mistakes] == ["level", "share", "release", "release"]
    assert [m.line for m in mistakes] == sorted(m.line for m in mistakes)


def test_a_mistake_as_a_reason() -> None:
    (mistake,) = read([Source("p/a.yaml", MINIMAL.replace("level: 1", "level: 7"))]).mistakes
    reason = mistake.reason
    assert reason.code is Code.DOCUMENT
    assert reason.what("en") == "a policy document is not valid: p/a.yaml:6: level: 7"
    assert reason.now("zh") == "1 – 4：核心数据不得进入本系统"
    (whole,) = read([Source("a", "")]).mistakes
    assert whole.reason.subject == "a:1: nothing"


def test_quotes_are_short_and_on_one_line() -> None:
    assert quote("a\nb\u202ec") == "a b c"
    assert len(quote("x" * 500)) == 60


def test_load_reads_folders_and_raises_everything(tmp_path: Path, examples: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text(examples, encoding="utf-8")
    (tmp_path / "b.yml").write_text("\ufeff" + MINIMAL, encoding="utf-8")
    (tmp_path / "a.queries.yaml").write_text("- nonsense", encoding="utf-8")
    (tmp_path / "README.md").write_text("no document", encoding="utf-8")
    assert [d.id for d in load([tmp_path]).datasets] == ["d", "med", "power"]
    bad = tmp_path / "c.yaml"
    bad.write_bytes(b"kind: \xff\n")
    assert [m.found for m in check([bad]).mistakes] == ["bytes that are not UTF-8"]
    with pytest.raises(Refusal) as caught:
        load([str(tmp_path / "b.yml"), bad])
    assert [r.code for r in caught.value.reasons] == [Code.DOCUMENT]
    assert caught.value.reasons[0].subject == f"{bad}:1: bytes that are not UTF-8"
    with pytest.raises(Refusal, match="missing"):
        load([tmp_path / "missing"])
