"""Check characters agree with the standards' own examples; numbers belong to nobody."""

from __future__ import annotations

import numpy as np

from sandbox.demo.draws import Draws
from sandbox.demo.names import (
    CITIES,
    SECTORS,
    credit_check,
    credit_codes,
    firms,
    organisation_check,
    people,
    resident_numbers,
)

INDEX = np.arange(3_000, dtype=np.int64)
CITY = INDEX % len(CITIES)
CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def _bytes(text: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(1, -1)


def _resident_check(number: str) -> str:
    """GB 11643-1999, one number at a time: weights are powers of two modulo 11."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11]


def test_the_check_used_here_agrees_with_the_standard() -> None:
    assert _resident_check("11010519491231002X") == "X"


def test_credit_codes_agree_with_published_examples() -> None:
    assert chr(credit_check(_bytes("91350100M000100Y43"[:17]))[0]) == "3"
    assert chr(organisation_check(_bytes("D2143569"))[0]) == "X"


def test_resident_numbers_are_valid_and_belong_to_nobody() -> None:
    male = INDEX % 2
    numbers = resident_numbers(Draws(7), INDEX, CITY, INDEX % 4, male).to_pylist()
    for place, number in enumerate(numbers):
        assert len(number) == 18 and number[17] == _resident_check(number)
        assert int(number[:6]) == CITIES[CITY[place]].code and number[4:6] == "00"
        assert int(number[16]) % 2 == male[place]
        assert 1935 <= int(number[6:10]) <= 2025 and 1 <= int(number[10:12]) <= 12


def test_credit_codes_are_valid_and_distinct() -> None:
    codes = credit_codes(INDEX, CITY).to_pylist()
    assert len(set(codes)) == len(codes)
    for code in codes:
        total = sum(CREDIT.index(c) * (3**place % 31) for place, c in enumerate(code[:17]))
        assert len(code) == 18 and CREDIT[(31 - total % 31) % 31] == code[17]


def test_names_of_people_and_firms() -> None:
    assert {len(name) for name in people(Draws(7), INDEX).to_pylist()} == {2, 3}
    names = firms(Draws(7), INDEX, CITY, INDEX % len(SECTORS)).to_pylist()
    assert len(set(names)) == len(names)
    assert names[0].startswith("太原") and names[0].endswith("有限公司")


def test_code_lists_have_no_doubles() -> None:
    assert len({c.code for c in CITIES}) == len(CITIES) == 11
    assert len({s.code for s in SECTORS}) == len(SECTORS)
