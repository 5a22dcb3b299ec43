"""Each rule of the monitor: what it finds, on which entries, and what it lets pass."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

import pytest

from sandbox.model import LogEntry
from sandbox.monitor import pace, probing, refusals
from sandbox.monitor.catalogue import MISSING, RULES
from sandbox.monitor.rule import Subject, facts, subject_of

NOON = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)
"""Twelve o'clock, China Standard Time."""


def entry(
    seq: int,
    kind: str = "intent",
    *,
    code: str = "",
    text: str = "SELECT 1",
    nano: int = 0,
    time: dt.datetime = NOON,
    **payload: object,
) -> LogEntry:
    return LogEntry(
        seq=seq, time=time, kind=kind, request=f"r{seq}", person="ann", organisation="one", grant="G-1",
        datasets=("med",), decision="", codes=(code,) if code else (), nano=nano, text=text,
        payload=json.dumps(payload) if payload else "",
    )  # fmt: skip


def refused(*codes: str, text: str = "SELECT 1") -> list[LogEntry]:
    return [entry(n, "refusal" if code else "intent", code=code, text=text) for n, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("codes", "evidence"),
    [
        (["DS-304"] * 3, ()),
        (["DS-304", "DS-305", "DS-101", "DS-307", "DS-304"], (0, 1, 3, 4)),
        (["DS-304"] * 4 + ["DS-201"], ()),  # the newest completes nothing
        (["DS-201"] * 7, ()),
        (["DS-201"] * 8, tuple(range(8))),
        ([""] * 9, ()),
    ],
)
def test_refusals_of_one_class(codes: list[str], evidence: tuple[int, ...]) -> None:
    assert refusals.repeated(refused(*codes)) == evidence


@pytest.mark.parametrize(
    ("codes", "evidence"),
    [
        (["DS-101", "DS-201", "DS-304"], ()),
        (["DS-101", "DS-201", "", "DS-304", "DS-404"], (0, 1, 3, 4)),
        (["DS-101", "", "DS-201", "", "DS-304", "DS-404"], ()),
        (["DS-101", "DS-201", "DS-304", "DS-404", ""], ()),
    ],
)
def test_most_was_refused(codes: list[str], evidence: tuple[int, ...]) -> None:
    assert refusals.storm(refused(*codes)) == evidence


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "select getenv('HOME')",
        "SELECT * FROM information_schema.tables",
        "COPY t TO 'x'",
        "SELECT * FROM 'https://example.org/a.parquet'",
        "SELECT * FROM duckdb_settings()",
    ],
)
def test_reaching_outside(text: str) -> None:
    once = refused("DS-108", text=text)
    assert refusals.reaching(once) == ()
    twice = [*once, entry(1, "refusal", code="DS-108", text=text)]
    assert refusals.reaching(twice) == (0, 1)
    assert refusals.reaching([*twice, entry(2, "refusal", code="DS-304")]) == ()
    assert refusals.reaching([entry(0, text=text), entry(1, text=text)]) == ()


def test_telling_codes_count_as_reaching() -> None:
    assert refusals.reaching(refused("DS-106", "DS-206")) == (0, 1)
    assert refusals.reaching(refused("DS-104", "DS-108", "DS-202")) == ()


def question(seq: int, terms: Sequence[str], *, base: str = "b", grouped: bool = False) -> LogEntry:
    return entry(seq, text=str(terms), base=base, terms=list(terms), shape="s", grouped=grouped)


def test_differencing_takes_two_pairs_of_totals() -> None:
    all_, one, two = question(0, []), question(1, ["a"]), question(2, ["a", "b"])
    assert probing.differencing([all_, one]) == ()
    assert probing.differencing([all_, one, two]) == (0, 1, 2)
    other = question(3, ["b"])
    assert probing.differencing([one, question(2, ["c"]), other]) == (1, 2, 3)  # one exchanged for another
    assert probing.differencing([all_, two, question(4, ["c", "d"])]) == ()  # two steps are no pair


def test_differencing_lets_analysts_pass() -> None:
    again = [question(n, ["a"][: n % 2]) for n in range(9)]
    assert probing.differencing(again) == ()  # asking again makes no further pair
    grouped = [question(n, ["a", "b", "c"][:n], grouped=True) for n in range(4)]
    assert probing.differencing(grouped) == ()
    others = [question(n, ["a", "b", "c"][:n], base=str(n)) for n in range(4)]
    assert probing.differencing(others) == ()
    pairs = [question(0, []), question(1, ["a"]), question(2, ["b"])]
    assert probing.differencing([*pairs, question(3, ["x"], base="other")]) == ()
    assert probing.differencing([*pairs, entry(4)]) == ()  # its payload was lawfully deleted


def test_variations() -> None:
    asked = [entry(n, text=f"SELECT {n}", shape="s") for n in range(12)]
    assert probing.variations(asked[:11]) == ()
    assert probing.variations(asked) == tuple(range(12))
    same = [entry(n, text="SELECT 1", shape="s") for n in range(30)]
    assert probing.variations(same) == ()
    assert probing.variations([entry(n, text=str(n)) for n in range(30)]) == ()


def test_repetition() -> None:
    asked = [entry(n) for n in range(20)]
    assert probing.repetition(asked[:19]) == ()
    assert probing.repetition(asked) == tuple(range(20))
    assert probing.repetition([*asked, entry(20, text="another")]) == ()


def test_burn_rate() -> None:
    asked = [entry(n, nano=10 * (n % 2), limit=120) for n in range(6)]
    assert pace.burn(asked[:5]) == ()
    assert pace.burn(asked) == (1, 3, 5)
    assert pace.burn([entry(0, nano=1000)]) == ()  # an exact grant has no budget


@pytest.mark.parametrize(("hour", "found"), [(14, False), (15, True), (21, True), (22, False)])
def test_unusual_hours(hour: int, found: bool) -> None:
    asked = [entry(n, time=NOON.replace(hour=hour)) for n in range(5)]
    assert pace.night(asked[:4]) == ()
    assert bool(pace.night(asked)) is found
    assert pace.night([*asked, entry(5)]) == ()
    assert bool(pace.night(asked, begins=14 + 8, ends=23)) is (hour == 14)


def test_an_outcome_is_missed_after_a_while() -> None:
    assert pace.missing(entry(3), NOON + dt.timedelta(minutes=9)) == ()
    assert pace.missing(entry(3), NOON + dt.timedelta(minutes=10)) == (3,)


def test_subjects() -> None:
    mine = entry(0)
    assert [subject_of(kind, mine) for kind in (Subject.PERSON, Subject.GRANT, Subject.LOG)] == [
        "ann",
        "G-1",
        "",
    ]
    nobody = LogEntry(0, NOON, "start", "", "", "", "", (), "", (), 0, "", "")
    assert [subject_of(kind, nobody) for kind in (Subject.PERSON, Subject.GRANT)] == [None, None]
    assert facts("") == {}


def test_every_rule_says_what_it_saw_and_what_to_do() -> None:
    names = [rule.name for rule in (*RULES, MISSING)]
    assert len(set(names)) == len(names) == 9
    for rule in (*RULES, MISSING):
        assert all((rule.what.zh, rule.what.en, rule.do.zh, rule.do.en, rule.kinds))
        assert rule.window > dt.timedelta(0)
