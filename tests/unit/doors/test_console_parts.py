"""What pages are made of: charts, ways of writing, the words of the product."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.catalogue import Kind, Use
from sandbox.console.charts import WIDTH, Bar, Step, bars, burn
from sandbox.console.locale import Locale, spoken
from sandbox.console.logs import Line, difference
from sandbox.console.skeletons import skeleton
from sandbox.console.terms import Terms
from sandbox.model import Person, Words
from sandbox.policy.documents import Documents, Mode, Release, Share
from sandbox.policy.load import Source, read
from sandbox.policy.workflow.states import Kind as Case
from sandbox.store.audit import Event
from sandbox.store.freezes import Scope

ZH, EN = Locale("zh"), Locale("en")
SPACE = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-6)
BARS = st.builds(
    lambda label, value, margin: Bar(label, value, margin, f"{value:,.6g}"),
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=60),
    NUMBERS,
    st.none() | st.floats(0, 1e12),
)


@given(st.lists(BARS, min_size=1, max_size=12))
def test_bars_stay_within_their_picture_and_in_order(rows: list[Bar]) -> None:
    tree = ET.fromstring(str(bars(rows, "<n>", EN)))
    drawn = [r for r in tree.iter() if r.get("class") == "bar"]
    assert len(drawn) == len(rows)
    for mark in drawn:
        left, width = float(mark.get("x", "")), float(mark.get("width", ""))
        assert left >= 0 and width >= 0 and left + width <= WIDTH
    for path in (p for p in tree.iter() if p.get("class") == "interval"):
        assert all(0 <= float(x) <= WIDTH for x in re.findall(r"[MH](-?[0-9.]+)", path.get("d", "")))
    highest = max(range(len(rows)), key=lambda i: abs(rows[i].value))
    widths = [float(mark.get("width", "")) for mark in drawn]
    assert widths[highest] >= max(widths) - 0.11  # of a pixel: both ends are rounded to a tenth


def test_a_chart_says_in_words_what_it_shows() -> None:
    tree = ET.fromstring(str(bars([Bar("太原", 3, 1, "3"), Bar("大同", 5, None, "5")], "n", ZH)))
    assert tree.get("aria-label") == "n 的条形图，误差线为 95% 区间"
    assert [t.text for t in tree.iter() if t.get("class") == "name"] == ["太原", "大同"]
    assert len([p for p in tree.iter() if p.get("class") == "interval"]) == 1


def test_a_budget_burns_down_to_what_is_left() -> None:
    day = dt.date(2026, 1, 1)
    now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    steps = [
        Step(dt.datetime(2026, 2, 1, tzinfo=dt.UTC), 0.75),
        Step(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), 0.25),
    ]
    text = str(burn(steps, day, dt.date(2026, 12, 31), now, EN))
    tree = ET.fromstring(text)
    assert tree.get("aria-label") == "25.0% left"
    line = next(p.get("d", "") for p in tree.iter() if p.get("class") == "left")
    heights = [float(y) for y in re.findall(r"V([0-9.]+)", line)]
    assert heights == sorted(heights) and heights[0] == 8 + 0.25 * 90 and heights[1] == 8 + 0.75 * 90
    assert burn([], day, day, now, ZH).count("100.0%") == 1  # nothing spent, a period of one day


@pytest.mark.parametrize(
    ("cookie", "accepted", "lang"),
    [
        ("", "", "zh"),
        ("", "en-US,en;q=0.9", "en"),
        ("", "fr,zh-CN", "zh"),
        ("en", "zh", "en"),
        ("xx", "en", "en"),
    ],
)
def test_the_language_of_a_reader(cookie: str, accepted: str, lang: str) -> None:
    assert spoken(cookie, accepted) == lang


def test_numbers_times_and_plurals_are_those_of_the_language() -> None:
    moment = dt.datetime(2026, 3, 4, 22, 5, 6, tzinfo=dt.UTC)
    assert ZH.time(moment) == "2026-03-05 06:05:06"
    assert EN.time(moment) == "5 Mar 2026, 06:05:06"
    assert ZH.today(moment) == "2026年3月5日 星期四"
    assert (ZH.day(moment.date()), EN.day(moment.date())) == ("2026-03-04", "4 Mar 2026")
    assert EN.count(1, "{} 行", "{} row", "{} rows") == "1 row"
    assert EN.count(1200, "{} 行", "{} row", "{} rows") == "1,200 rows"
    assert ZH.count(1, "{} 行", "{} row", "{} rows") == "1 行"
    assert (ZH.short(120_000), EN.short(120_000)) == ("12万", "120K")
    assert (ZH.percent(0.1234), ZH.delta(1e-7), ZH.delta(0)) == ("12.3%", "1e-7", "0")
    assert ZH.epsilon(2.71111) == "2.711" and ZH.number(1234.5) == "1,234.5"
    assert ZH.say(Words("甲", "a")) == "甲" and EN.other == "zh" and ZH.tag == "zh-CN"


def test_every_fixed_word_is_known_in_both_languages() -> None:
    for words in (Event, Use, Kind, Share, Mode, Release, Scope):
        for word in words:
            assert Terms(ZH)(word.value) != word.value
            assert Terms(EN)(word.value)
    assert Terms(ZH)("unheard of") == "unheard of"


def test_two_texts_line_by_line() -> None:
    lines = list(difference("SELECT a\nFROM t", "SELECT b\nFROM t"))
    assert lines == [Line("-", "SELECT a"), Line("+", "SELECT b"), Line("", "FROM t")]


def test_a_new_application_begins_with_a_document_that_holds() -> None:
    files = [f for f in Path("policies").glob("*/*.yaml") if not f.name.endswith(".queries.yaml")]
    sources = [Source(str(f), f.read_text(encoding="utf-8")) for f in files]
    documents, today = read(sources).documents, dt.date(2026, 11, 24)
    size = len(documents.grants) + len(documents.products)
    for grant in documents.grants:
        person = Person("o", "operator", grant.to)
        for kind in (Case.GRANT, Case.PRODUCT):
            text = skeleton(kind, person, documents, today)
            found = read([*sources, Source("new", text)])
            assert found.mistakes == (), text
            assert len(found.documents.grants) + len(found.documents.products) == size + 1
    stranger = Person("x", "operator", "别家")
    assert skeleton(Case.PRODUCT, stranger, documents, today) == ""
    known = Person("o", "operator", documents.grants[0].to)
    assert skeleton(Case.PRODUCT, known, documents, dt.date(2099, 1, 1)) == ""
    assert skeleton(Case.GRANT, stranger, Documents(), today) == ""
    assert skeleton(Case.INCIDENT, stranger, documents, today) == ""
