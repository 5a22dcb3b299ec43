"""Mutation of bytes, without any knowledge of what they mean: bounded, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

MOST_BYTES: Final = 70_000
"""A little more than a body may have."""

MOST_STEPS: Final = 8
TOKENS: Final = tuple(
    t.encode()
    for t in (
        *("'", '"', "--", "/*", "*/", ";", "(", ")", "((((", "[", "]", "{", "}", "$$", "::", "\\", "%", "||"),
        *(" SELECT ", " FROM ", " UNION ALL ", " WHERE ", " OR ", " NULL ", " CASE ", " OVER ", " WITH "),
        *("people", "claims", "county", "COUNT(*)", "SUM(", "1e999", "-0", "NaN", "9223372036854775808"),
        *("\x00", "\x1a", "\u202e", "\u3000", "\ufeff", "\ud7ff", "😀", "e\u0301", "İ", "ﬁ", "\u2028"),
        *('"sql"', '"epsilon": 1e-400', '"epsilon": 0x1', "null", "true", "{}", "\\ud800", "\\u0000"),
    )
)
RAW: Final = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xfe\xff", b"\x80")
Step = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(seed: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """``seed`` after a few random steps; pieces of ``others`` may be spliced in."""
    data = bytearray(seed)
    for _ in range(random.randint(1, MOST_STEPS)):
        random.choice(STEPS)(data, random, others)
        del data[MOST_BYTES:]
    return bytes(data)


def _place(data: bytearray, random: Random) -> int:
    return random.randint(0, len(data))


def _span(data: bytearray, random: Random) -> slice:
    start = _place(data, random)
    return slice(start, min(len(data), start + random.choice((1, 2, 5, 20, 100))))


def _flip(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _drop(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    del data[_span(data, random)]


def _double(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    span = _span(data, random)
    data[span.stop : span.stop] = bytes(data[span]) * random.choice((1, 2, 3, 50, 400))


def _insert(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = random.choice(TOKENS if random.random() < 0.9 else RAW)


def _replace(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    data[_span(data, random)] = random.choice(TOKENS)


def _splice(data: bytearray, random: Random, others: Sequence[bytes]) -> None:
    other = bytearray(random.choice(others))
    at = _place(data, random)
    data[at : at + random.choice((0, 5, 50))] = other[_span(other, random)]


def _cross(data: bytearray, random: Random, others: Sequence[bytes]) -> None:
    other = random.choice(others)
    data[_place(data, random) :] = other[random.randint(0, len(other)) :]


def _digits(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    places = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
    if places:
        at = random.choice(places)
        data[at : at + 1] = random.choice(
            (b"0", b"-1", b"9" * 40, b"1e308", b"2147483648", b"0.1", b"\xd9\xa1")
        )


STEPS: Final[tuple[Step, ...]] = (_flip, _drop, _double, _insert, _insert, _replace, _splice, _cross, _digits)
