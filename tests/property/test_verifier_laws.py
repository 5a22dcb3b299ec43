"""The standalone verifier accepts what the log proves, and nothing that differs from it by one byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.store.canonical import canonical
from sandbox.store.log.receipt import document
from tests.support.logs import BUREAU, House, Verifier

ENTRIES = 21
EARLIER = 13


class Case:
    """One log of ``ENTRIES`` entries: what was held earlier, an export, receipts; and a verifier."""

    def __init__(self, folder: Path) -> None:
        house = House(folder)
        house.fill(EARLIER)
        self.held = house.log.checkpoint()
        house.fill(ENTRIES - EARLIER - 1)
        self.grown = dict(house.log.consistency(EARLIER))
        self.export = house.export()  # enters itself
        self.lines = self.export.splitlines(keepends=True)
        self.receipts = [canonical(document(house.log.receipt(seq))) for seq in (0, 7, ENTRIES - 1)]
        self.verifier = Verifier(folder / "verifier", house.log.keys.signer().public.text)
        assert self.verifier.accepts(self.held)
        self.memory = self.verifier.state.read_bytes()
        house.database.close()

    def accepts(self, *texts: str | dict[str, object]) -> bool:
        """What somebody says who holds the earlier checkpoint."""
        self.verifier.state.write_bytes(self.memory)
        return self.verifier.accepts(*texts)

    def newcomer_accepts(self, *texts: str) -> bool:
        """What somebody says who holds only the key."""
        self.verifier.state.unlink(missing_ok=True)
        return self.verifier.accepts(*texts)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("verifier"))


def test_what_is_true_is_accepted(case: Case) -> None:
    assert case.accepts(case.export)
    assert case.accepts(case.grown, case.export)
    assert case.accepts(*case.receipts)
    assert case.newcomer_accepts(case.export, *case.receipts)
    assert (
        json.loads(case.verifier.state.read_text())["checkpoint"] == json.loads(case.lines[0])["checkpoint"]
    )


@given(mask=st.integers(min_value=1, max_value=255), data=st.data())
def test_any_byte_of_an_export_that_changes_shows(case: Case, mask: int, data: st.DataObject) -> None:
    raw = bytearray(case.export.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= mask
    assert not accepts_bytes(case, bytes(raw))


@given(byte=st.integers(0, 255), data=st.data())
def test_a_byte_more_or_less_in_an_export_shows(case: Case, byte: int, data: st.DataObject) -> None:
    raw = bytearray(case.export.encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    more, less = bytearray(raw), bytearray(raw)
    more.insert(place, byte)
    del less[place]
    assert not accepts_bytes(case, bytes(more))
    assert not accepts_bytes(case, bytes(less))


def test_every_byte_of_a_receipt_counts(case: Case) -> None:
    raw = case.receipts[1].encode()
    assert accepts_bytes(case, raw)
    for place in range(len(raw)):
        spoilt = bytearray(raw)
        spoilt[place] ^= 1 + place % 255
        assert not accepts_bytes(case, bytes(spoilt)), place


@given(number=st.integers(0, 2), mask=st.integers(min_value=1, max_value=255), data=st.data())
def test_any_byte_of_a_receipt_that_changes_shows(
    case: Case, number: int, mask: int, data: st.DataObject
) -> None:
    raw = bytearray(case.receipts[number].encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= mask
    assert not accepts_bytes(case, bytes(raw))


def accepts_bytes(case: Case, raw: bytes) -> bool:
    case.verifier.state.write_bytes(case.memory)
    file = case.verifier.state.with_name("spoilt.json")
    file.write_bytes(raw)
    found: int = case.verifier.program.main([str(case.verifier.state), str(file)])
    return found == 0


@given(st.data())
def test_deletion_reorder_insertion_and_truncation_show(case: Case, data: st.DataObject) -> None:
    lines = list(case.lines)
    index = st.integers(1, len(lines) - 1)
    one, other = data.draw(index), data.draw(index)
    match data.draw(st.sampled_from(["delete", "swap", "repeat", "invent", "cut"])):
        case "delete":
            del lines[one]
        case "swap":
            other = one % (len(lines) - 1) + 1 if one == other else other
            lines[one], lines[other] = lines[other], lines[one]
        case "repeat":
            lines.insert(other, lines[one])
        case "invent":
            lines[one:] = map(renumbered, [lines[one], *lines[one:]], range(one - 1, len(lines)))
        case _:
            del lines[one:]
    assert not case.accepts("".join(lines))
    assert not case.newcomer_accepts("".join(lines))


def renumbered(line: str, seq: int) -> str:
    """An entry as if it had been this one of the log."""
    told = json.loads(line)
    told["entry"]["seq"] = seq
    return canonical(told) + "\n"


def test_fields_of_the_head_are_held_against_the_checkpoint(case: Case) -> None:
    head = json.loads(case.lines[0])
    changes: list[dict[str, Any]] = [
        {"origin": "another"}, {"size": ENTRIES + 1}, {"start": 1}, {"hash": "sm3"}, {"hash": "md5"},
        {"keys": [head["keys"][0].replace("data", "date")]}, {"checkpoint": case.held},
    ]  # fmt: skip
    for change in changes:
        assert not case.accepts("".join([canonical(head | change) + "\n", *case.lines[1:]])), change


def test_a_shorter_or_another_log_is_refused(case: Case, tmp_path: Path) -> None:
    assert case.accepts(case.export)
    longest = case.verifier.state.read_bytes()
    case.memory, before = longest, case.memory
    try:
        assert not case.accepts(case.held)  # the past is no news: a proof is asked for
        assert not case.accepts(case.grown)  # it begins elsewhere
        other = House(tmp_path)
        other.fill(ENTRIES)
        foreign = [other.export(), canonical(document(other.log.receipt(3))), other.log.checkpoint()]
        for text in foreign:
            assert not case.accepts(text)
        trusting = Verifier(tmp_path / "trusting", other.log.keys.signer().public.text)
        shutil.copy(case.verifier.state, trusting.state)
        for text in foreign:
            assert not trusting.accepts(text)  # whose key is known too, but it is another log
        other.database.close()
    finally:
        case.memory = before


def test_a_rotation_hands_trust_on(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.fill(3)
    first = house.log.keys.signer().public.text
    verifier, late, stranger = (Verifier(tmp_path / name, first) for name in "vwx")
    assert verifier.accepts(house.log.checkpoint())
    rotation = house.desk.rotate(BUREAU)
    house.fill(2)
    receipt = document(house.log.receipt(4))
    assert not stranger.accepts(receipt)
    assert verifier.accepts(rotation, house.log.consistency(3), receipt)
    assert late.accepts(house.export())  # which brings the rotation
    house.database.close()


def test_two_heads_of_one_size_are_never_both_believed(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.fill(4)
    verifier = Verifier(tmp_path / "v", house.log.keys.signer().public.text)
    assert verifier.accepts(house.log.checkpoint())
    house.database.close()
    (tmp_path / "twin").mkdir()
    other = House(tmp_path / "twin")
    other.fill(4)
    other.log.keys = house.log.keys
    other.log.origin = house.log.origin
    assert not verifier.accepts(other.log.checkpoint())
    assert not verifier.accepts(document(other.log.receipt(2)))
    other.database.close()
