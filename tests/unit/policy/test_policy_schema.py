"""The published JSON Schema: current, and agreeing with the readers on what is structural."""

from __future__ import annotations

import json
import runpy
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.policy.canonical import Plain
from sandbox.policy.load import Source, check, read
from sandbox.policy.mistakes import At
from sandbox.policy.schema import RECORDS, main, schema_of, schema_text
from sandbox.policy.tree import plain, trees

ROOT = Path(__file__).parents[3]


def as_json(value: Plain) -> Any:
    """A tree's plain values as JSON's own types."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def errors(text: str) -> int:
    """How many documents of a text their schema refuses."""
    documents = [as_json(plain(node)) for node in trees(text, At("a"))]
    known = [d for d in documents if d.get("kind") in RECORDS]
    return sum(not Draft202012Validator(schema_of(d["kind"])).is_valid(d) for d in known)


@pytest.mark.parametrize("kind", RECORDS)
def test_published_schema_is_current(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    published = (ROOT / "policies" / "schema" / f"{kind}.schema.json").read_text(encoding="utf-8")
    assert main([kind]) == 0
    assert capsys.readouterr().out == published == schema_text(kind)
    Draft202012Validator.check_schema(json.loads(published))


def test_command_names_the_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["products"]) == 2
    assert main([]) == 2
    assert capsys.readouterr().err == f"one of: {', '.join(RECORDS)}\n" * 2


def test_runs_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["schema", "grant"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "sandbox" / "policy" / "schema.py"), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out == schema_text("grant")


def test_every_key_is_described_in_both_languages() -> None:
    def described(schema: Any) -> list[str]:
        if not isinstance(schema, dict):
            return []
        here = [p["description"] for p in schema.get("properties", {}).values()]
        below = list(schema.values()) + list(schema.get("properties", {}).values())
        return here + [text for part in below for text in described(part)]

    for kind in RECORDS:
        texts = described(schema_of(kind))
        assert len(texts) >= 10
        assert all(" / " in text and not text.isascii() for text in texts)


def test_examples_pass_both(examples: str) -> None:
    assert errors(examples) == 0
    assert read([Source("a", examples)]).mistakes == ()


def test_policies_of_the_repository_pass_both() -> None:
    files = sorted((ROOT / "policies").glob("*/*.yaml"))
    documents = [f for f in files if not f.name.endswith(".queries.yaml")]
    assert documents
    assert [errors(f.read_text(encoding="utf-8")) for f in documents] == [0] * len(documents)
    assert check([ROOT / "policies"]).mistakes == ()


STRUCTURAL = [
    ("owner: 省医疗保障局\n", ""),
    ("owner: 省医疗保障局", "owner: 12"),
    ("owner: 省医疗保障局", 'owner: " "'),
    ("owner: 省医疗保障局", "owner: x\nextra: 1"),
    ("en: Health-insurance settlements", "fr: x"),
    ("class: 卫生健康/医疗保障", "class: /卫生健康"),
    ("level: 4\nshare", "level: 5\nshare"),
    ("level: 4\nshare", "level: 4\ncore: true\nshare"),
    ("share: conditional", "share: some"),
    ("snapshot: monthly", "snapshot: often"),
    ("rows: 60", "rows: 1.5"),
    ("public: true", "public: yes"),
    ("  hospital:\n", "  hos-pital:\n"),
    ("  hospital:\n", "  9hospital:\n"),
    ("unit: {enterprise: uscc}", "unit: {}"),
    ("unit: {enterprise: uscc}", "unit: {enterprise: [a]}"),
    ("unit: {enterprise: uscc}", "unit: {enterprise: [a => b.c, b.d]}"),
    ("per_unit: [city, industry2]", "per_unit: [city, city]"),
    ("cells: [city, industry2, month]", "cells: []"),
    ("units: 10", "units: 4"),
    ("dominance: 15", "dominance: 101"),
    ("type: date,   level: 2", "type: day, level: 2"),
    ("use: [measure, filter]", "use: [sum]"),
    ("clip: [0, 200000]", "clip: [0]"),
    ("scale: 0.01", "scale: 0"),
    ("domain: [F, M]", "domain: []"),
    ("domain: [F, M]", "domain: [F, [M]]"),
    ("domain: [F, M]", "domain: [F, M], step: often"),
    ("domain: [F, M]", "domain: [F, M], step: 0"),
    ("id: G-2025-017", "id: G/17"),
    ("from: 2025-07-01", "from: 1.7.2025"),
    ("med.hospital: all", "med.hospital: some"),
    ("med.hospital: all", "med.hospital: []"),
    ("med.hospital: all", "hospital: all"),
    ("[med.claim.hospital_id, med.hospital.hospital_id]", "[med.claim.hospital_id]"),
    ("mode: exact", "mode: raw"),
    ("query: 0.5", "query: 6"),
    ("query: 0.5", "query: 0"),
    ("delta: 1.0e-7", "delta: 0.001"),
    ("queries: {day: 500", "queries: {day: 0"),
    ("release: auto", "release: none"),
]


@pytest.mark.parametrize(("old", "new"), STRUCTURAL)
def test_structural_mistakes_are_refused_by_both(examples: str, old: str, new: str) -> None:
    assert old in examples
    text = examples.replace(old, new, 1)
    assert errors(text) == 1
    assert read([Source("a", text)]).mistakes
