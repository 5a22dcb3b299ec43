"""A dataset document edited after ingestion is not trusted over data that were never held to it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sandbox.catalogue import Kind
from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.policy.load import load
from sandbox.policy.verified import verified
from tests.unit.stages.conftest import COUNTED, DATASET, answered, codes, publish, request

WORDS = {
    "a unit has one row": ("rows: 4", "rows: 1"),
    "a function of the unit": ("per_unit: [city]", "per_unit: [city, kind]"),
    "another domain": ("use: [group, filter], domain: [0, 1]}", "use: [group, filter], domain: [0, 1, 2]}"),
    "another range": ("range: [0, 100]", "range: [0, 50]"),
    "another grid": ("units: 5, dominance", "units: 6, dominance"),
}


@pytest.mark.parametrize("word", WORDS)
def test_an_edit_of_what_was_verified_waits_for_the_next_snapshot(
    word: str, gateway: Gateway, home: Home
) -> None:
    answered(gateway.query(request("G-DP", COUNTED)))
    text = DATASET.replace(*WORDS[word])
    assert text != DATASET
    (home.policies / "dataset.yaml").write_text(text, encoding="utf-8")
    assert codes(gateway.query(request("G-DP", COUNTED))) == ["SNAPSHOT_OUTDATED"]
    (home.policies / "dataset.yaml").write_text(DATASET, encoding="utf-8")
    answered(gateway.query(request("G-DP", COUNTED)))


def test_ingesting_again_answers_again(gateway: Gateway, home: Home) -> None:
    (home.policies / "dataset.yaml").write_text(DATASET.replace("[0, 100], clip", "[0, 99], clip"), "utf-8")
    assert codes(gateway.query(request("G-DP", COUNTED))) == ["SNAPSHOT_OUTDATED"]
    publish(home, 40)
    answered(gateway.query(request("G-DP", COUNTED)))


def test_other_words_may_be_edited_at_once(gateway: Gateway, home: Home) -> None:
    text = DATASET.replace("en: Shop", "en: Corner shop").replace("clip: [0, 100]", "clip: [0, 80]")
    (home.policies / "dataset.yaml").write_text(text.replace("rows: 4", "rows: 5"), encoding="utf-8")
    answered(gateway.query(request("G-DP", COUNTED)))


def test_every_verified_word_is_in_the_hash(home: Home) -> None:
    dataset = load([home.policies]).dataset("shop")
    assert dataset is not None
    (table,) = dataset.tables
    column = table.columns[1]
    changed = [replace(table, name="x"), replace(table, public=True), replace(table, unique=(("fee",),))]
    columns = (
        replace(column, nullable=True),
        replace(column, unique=True),
        replace(column, scale=Fraction(7)),
        replace(column, kind=Kind.STRING),
    )
    changed += [replace(table, columns=(c, *table.columns[2:])) for c in columns]
    hashes = {verified(replace(dataset, tables=(t,))) for t in (table, *changed)}
    assert len(hashes) == len(changed) + 1
