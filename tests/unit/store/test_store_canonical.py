"""Canonical JSON: RFC 8785's own cases, and what it refuses."""

from __future__ import annotations

import json

import pytest

from sandbox.store.canonical import MOST_EXACT, canonical, printable


def test_keys_are_sorted_by_utf16_units_as_in_rfc_8785_section_3_2_3() -> None:
    names = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical(names)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_are_escaped_as_in_rfc_8785_section_3_2_2_2() -> None:
    assert canonical('\u20ac$\u000f\nA\'B"\\\\"/') == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'
    assert canonical("\b\t\n\f\r\x7f\u2028") == '"\\b\\t\\n\\f\\r\x7f\u2028"'


def test_values_and_nesting() -> None:
    value = {"b": [1, (True, None)], "a": {"z": -MOST_EXACT, "y": "\u6c34"}}
    assert canonical(value) == '{"a":{"y":"\u6c34","z":-9007199254740991},"b":[1,[true,null]]}'


@pytest.mark.parametrize("value", [1.0, float("nan"), {"a": [0.5]}, {1: "a"}, {1, 2}, b"a", MOST_EXACT + 1])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"canonical JSON|integer"):
        canonical(value)


def test_hostile_text_still_has_a_form_that_can_be_stored_and_read_back() -> None:
    assert canonical("a\ud800") == '"a\\ud800"'
    assert json.loads(canonical({"\ud800": "\x00"})) == {"\ud800": "\x00"}
    assert printable("a\x00\udfff\u6c34") == "a\\x00\\udfff\u6c34"
