from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.doors.forms import arrow, csv, layout
from sandbox.doors.values import Value, exact, json_text, printable, shown, with_margin
from sandbox.doors.wire import answer_text
from tests.unit.doors.conftest import COLUMNS, example


@pytest.mark.parametrize(
    ("value", "margin", "expected"),
    [
        (4567, 118.2, ("4,570", "120")),
        (4567, 1.31, ("4,567", "2")),
        (Decimal("12.3456"), 0.0123, ("12.346", "0.013")),
        (12.3456, 99.7, ("12", "100")),
        (-3, 250.0, ("0", "250")),
        (1234567, 5.0e5, ("1,230,000", "500,000")),
        (5, 0.0, ("5", "0")),
        (None, 3.0, ("–", "")),
        ("text", 3.0, ("text", "")),
        (float("nan"), 3.0, ("nan", "")),
        (12345, None, ("12,345", "")),
        (True, 1.0, ("true", "")),
    ],
)
def test_values_keep_no_digit_beyond_their_margin(
    value: Value, margin: float | None, expected: tuple[str, str]
) -> None:
    assert with_margin(value, margin) == expected


@given(st.integers(-(10**12), 10**12), st.floats(1e-3, 1e12))
def test_a_shown_margin_is_never_smaller_and_the_value_is_within_it(value: int, margin: float) -> None:
    near, spread = (Decimal(text.replace(",", "")) for text in with_margin(value, margin))
    assert spread >= Decimal(repr(margin))
    assert abs(near - value) <= spread


@pytest.mark.parametrize(
    ("value", "text", "json"),
    [
        (None, "", "null"),
        (True, "true", "true"),
        (10**30, "1" + "0" * 30, "1" + "0" * 30),
        (Decimal("1.10"), "1.10", "1.10"),
        (Decimal("1E+3"), "1000", "1000"),
        (0.1, "0.1", "0.1"),
        (float("inf"), "inf", "null"),
        ("太\n", "太\n", '"太\\n"'),
        (dt.date(2025, 1, 2), "2025-01-02", '"2025-01-02"'),
        (dt.datetime(2025, 1, 2, 3), "2025-01-02T03:00:00", '"2025-01-02T03:00:00"'),
    ],
)
def test_machine_forms_lose_nothing(value: Value, text: str, json: str) -> None:
    assert (exact(value), json_text(value)) == (text, json)


def test_people_see_no_control_or_bidirectional_characters() -> None:
    assert printable("a\x1b[31m\u202eb\n") == "a�[31m�b�"
    assert shown(1234567.891) == "1,234,568"
    assert shown(Decimal("1234.50")) == "1,234.50"


def test_margin_columns_never_take_a_name_in_use() -> None:
    names = [name for name, _, _ in layout(COLUMNS)]
    assert names == ["city", "n", "n_margin_", "n_margin"]


def test_csv_keeps_null_apart_from_text_and_every_digit() -> None:
    lines = csv(example()).split("\r\n")
    assert lines == [
        "city,n,n_margin_,n_margin",
        "太原,4567,118.2,1.10",
        '"a ""b"", c",12345678901234567890,,',
        ",-3,1.31,0.30",
        "",
    ]


def test_arrow_holds_rows_margins_and_the_rest_as_metadata() -> None:
    table = pa.ipc.open_stream(arrow(example())).read_all()
    assert table.column_names == ["city", "n", "n_margin_", "n_margin"]
    assert table.column("n_margin_").to_pylist()[0] == 118.2
    about = json.loads(table.schema.metadata[b"sandbox"])
    assert about["receipt"] == 7
    assert "rows" not in about


def test_json_answers_hold_decimals_exactly() -> None:
    found = json.loads(answer_text(example()), parse_float=Decimal)
    assert found["rows"][0] == ["太原", 4567, Decimal("1.10")]
    assert found["rows"][1] == ['a "b", c', 12345678901234567890, None]
    assert found["margins"] == [
        [None, Decimal("118.2"), None],
        [None, None, None],
        [None, Decimal("1.31"), None],
    ]
    assert found["price"] == {"epsilon": "0.5", "nano": 5000000, "measure": "zcdp", "free": False}
