"""The parts that documents are described with: each reads a node and states its JSON Schema.

One description serves both the reader and the published schema, so they cannot drift apart.  A part
notes every mistake at its place and returns ``None`` where it could not read a value; ``None`` is
therefore never a value.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, Generic, Protocol, TypeVar

from sandbox.model import Words
from sandbox.policy.mistakes import At, nearest
from sandbox.policy.tree import Items, Leaf, Node

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
T_co = TypeVar("T_co", covariant=True)
Schema = dict[str, Any]

NAME: Final = r"[^\W\d_]\w{0,62}"
IDENTIFIER: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class Part(Protocol[T_co]):
    """What reads one value and describes it."""

    def read(self, node: Node, at: At) -> T_co | None:
        """The value of the node, or ``None`` with the mistakes noted."""
        ...

    def schema(self) -> Schema:
        """JSON Schema (draft 2020-12) of the value."""
        ...


def shown(node: Node) -> str:
    """A node as a message quotes it."""
    if isinstance(node, Leaf):
        return node.text if node.text or node.plain else '""'
    return "a list" if isinstance(node, Items) else "a mapping"


SOME_TEXT: Final = Words(
    "非空文本（数字等须加引号）", "text that is not empty (quote what reads as a number)"
)


@dataclass(frozen=True, slots=True)
class Text:
    """Text of one line (``lines``: of several), matching ``pattern`` as a whole if one is given."""

    pattern: str = ""
    expected: Words = SOME_TEXT
    lines: bool = False
    longest: int = 500

    def read(self, node: Node, at: At) -> str | None:
        if not isinstance(node, Leaf) or not isinstance(node.value, str) or not self.fits(node.value):
            at.wrong(shown(node), self.expected.en, self.expected.zh)
            return None
        return node.value

    def fits(self, text: str) -> bool:
        """Whether the text is visible, not empty, not too long, and of the pattern."""
        kept = text.replace("\n", " ") if self.lines else text
        visible = not any(unicodedata.category(c) in _UNSEEN for c in kept)
        return (
            visible
            and 0 < len(text.strip()) <= len(text) <= self.longest
            and (not self.pattern or re.fullmatch(self.pattern, text) is not None)
        )

    def schema(self) -> Schema:
        pattern = {"pattern": f"^{portable(self.pattern)}$"} if self.pattern else {"pattern": "\\S"}
        return {"type": "string", "minLength": 1, "maxLength": self.longest, **pattern}


_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def portable(pattern: str) -> str:
    """The same pattern for editors, whose ``\\w`` is ASCII only: there, a letter is whatever is not ASCII or
    Latin-1 punctuation, so Chinese names pass."""
    letter, word = r"[^\x00-\x40\x5b-\x60\x7b-\xbf]", r"[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xbf]"
    return pattern.replace(r"[^\W\d_]", letter).replace(r"\w", word)


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    def read(self, node: Node, at: At) -> bool | None:
        if isinstance(node, Leaf) and isinstance(node.value, bool):
            return node.value
        at.wrong(shown(node), "true or false", "true 或 false")
        return None

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number within bounds; ``above``/``below`` are the exclusive forms."""

    least: Fraction | None = None
    most: Fraction | None = None
    above: Fraction | None = None
    below: Fraction | None = None

    def read(self, node: Node, at: At) -> Fraction | None:
        value = node.value if isinstance(node, Leaf) else None
        if isinstance(value, Fraction) and self._fits(value):
            return value
        at.wrong(shown(node), f"a number{self._bounds('en')}", f"数字{self._bounds('zh')}")
        return None

    def _fits(self, value: Fraction) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _bounds(self, lang: str) -> str:
        words = _BOUND_WORDS[lang]
        limits = (self.least, self.above, self.most, self.below)
        said = [
            f"{word}{decimal(limit)}" for word, limit in zip(words, limits, strict=True) if limit is not None
        ]
        return (
            (" " if lang == "en" else "，") + (" and " if lang == "en" else "且").join(said) if said else ""
        )

    def schema(self) -> Schema:
        names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        limits = (self.least, self.above, self.most, self.below)
        return {"type": "number"} | {n: _json(v) for n, v in zip(names, limits, strict=True) if v is not None}


_BOUND_WORDS: Final = {
    "en": ("of at least ", "above ", "of at most ", "below "),
    "zh": ("不小于 ", "大于 ", "不大于 ", "小于 "),
}


def decimal(value: Fraction) -> str:
    """A decimal fraction, exactly, as people and YAML write it: ``0.01``, ``200000``, ``1E-7``."""
    with localcontext(prec=100):
        return str(Decimal(value.numerator) / Decimal(value.denominator))


def _json(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from ``least`` to ``most``."""

    least: int
    most: int

    def read(self, node: Node, at: At) -> int | None:
        value = node.value if isinstance(node, Leaf) else None
        if isinstance(value, Fraction) and value.denominator == 1 and self.least <= value <= self.most:
            return int(value)
        said = f"{self.least} – {self.most}"
        at.wrong(shown(node), f"a whole number, {said}", f"整数，{said}")
        return None

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Choice(Generic[E]):
    """One word of a closed list."""

    words: type[E]

    def read(self, node: Node, at: At) -> E | None:
        known = [w.value for w in self.words]
        if isinstance(node, Leaf) and node.value in known:
            return self.words(node.text)
        expected = nearest(shown(node), known)
        at.wrong(shown(node), expected.en, expected.zh)
        return None

    def schema(self) -> Schema:
        return {"enum": [w.value for w in self.words]}


@dataclass(frozen=True, slots=True)
class Const:
    """Exactly this word."""

    word: str

    def read(self, node: Node, at: At) -> str | None:
        if isinstance(node, Leaf) and node.value == self.word:
            return self.word
        at.wrong(shown(node), self.word, self.word)
        return None

    def schema(self) -> Schema:
        return {"const": self.word}


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day, ``YYYY-MM-DD``, from 1900 to 2199."""

    def read(self, node: Node, at: At) -> dt.date | None:
        day = as_day(node)
        if day is None:
            at.wrong(shown(node), "a day as YYYY-MM-DD", "YYYY-MM-DD 格式的日期")
        return day

    def schema(self) -> Schema:
        return {"type": "string", "format": "date", "pattern": r"^(19|20|21)\d\d-\d\d-\d\d$"}


def as_day(node: Node) -> dt.date | None:
    """The day that a scalar spells, or ``None``."""
    if not isinstance(node, Leaf) or not re.fullmatch(r"(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}", node.text):
        return None
    try:
        return dt.date.fromisoformat(node.text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Scalars:
    """``least`` to ``most`` scalars, typed later by the column's own type."""

    least: int
    most: int

    def read(self, node: Node, at: At) -> tuple[Leaf, ...] | None:
        if isinstance(node, Items) and self.least <= len(node.items) <= self.most:
            leaves = tuple(item for item in node.items if isinstance(item, Leaf) and item.value is not None)
            if len(leaves) == len(node.items):
                return leaves
        said = f"{self.least}" if self.least == self.most else f"{self.least} – {self.most}"
        at.wrong(shown(node), f"a list of {said} values", f"{said} 个值的列表")
        return None

    def schema(self) -> Schema:
        value = {"type": ["string", "number", "boolean"]}
        return {"type": "array", "items": value, "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of ``least`` to ``most`` values; ``distinct``: no two are equal."""

    part: Part[T]
    least: int = 0
    most: int = 1000
    distinct: bool = True

    def read(self, node: Node, at: At) -> tuple[T, ...] | None:
        if not isinstance(node, Items) or not self.least <= len(node.items) <= self.most:
            said = f"{self.least} – {self.most}"
            at.wrong(shown(node), f"a list of {said} items", f"{said} 项的列表")
            return None
        found: list[T] = []
        for index, item in enumerate(node.items, start=1):
            place = at.item(index, item.line)
            value = self.part.read(item, place)
            if self.distinct and value is not None and value in found:
                place.wrong(shown(item), "each item once", "每项只能出现一次")
            elif value is not None:
                found.append(value)
        return tuple(found) if len(found) == len(node.items) else None

    def schema(self) -> Schema:
        limits = {"minItems": self.least, "maxItems": self.most, "uniqueItems": self.distinct}
        return {"type": "array", "items": self.part.schema(), **limits}


@dataclass(frozen=True, slots=True)
class OneOrMany(Generic[T]):
    """``one`` for a scalar, ``many`` for anything else."""

    one: Part[str]
    many: Part[T]

    def read(self, node: Node, at: At) -> str | T | None:
        return self.one.read(node, at) if isinstance(node, Leaf) else self.many.read(node, at)

    def schema(self) -> Schema:
        return {"anyOf": [self.one.schema(), self.many.schema()]}
