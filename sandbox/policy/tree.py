"""YAML text to a tree of our own that keeps line numbers.

A small, predictable part of YAML 1.2, read from the parser's events: mappings, lists and scalars.
Anchors, aliases, tags and merge keys are refused; so are duplicate keys, deep nesting and large files.
Scalars keep their text, so numbers stay exact, and follow the core schema: ``no`` and ``on`` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from sandbox.policy.canonical import Plain
from sandbox.policy.mistakes import At

LARGEST_FILE: Final = 1_000_000
DEEPEST: Final = 12
LONGEST_NUMBER: Final = 40
LARGEST_EXPONENT: Final = 30

_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar: its text, whether it stood without quotes, and its line."""

    text: str
    plain: bool
    line: int

    @property
    def value(self) -> bool | Fraction | str | None:
        """The scalar under the core schema; a number that is absurdly long or large stays text."""
        if not self.plain:
            return self.text
        if self.text in _WORDS:
            return _WORDS[self.text]
        match = _NUMBER.fullmatch(self.text)
        if match is None or len(self.text) > LONGEST_NUMBER or abs(int(match[1] or 0)) > LARGEST_EXPONENT:
            return self.text
        return Fraction(Decimal(self.text))


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping: key leaves (unique) and their values, in order."""

    fields: tuple[tuple[Leaf, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        """The value under this key, or ``None``."""
        return next((node for name, node in self.fields if name.text == key), None)


Node = Leaf | Items | Fields


def plain(node: Node) -> Plain:
    """The tree as plain values, for fingerprints and for JSON Schema."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.fields}


class _Refused(Exception):
    """The text cannot be a document; the mistake is noted."""


def trees(text: str, at: At) -> tuple[Node, ...]:
    """The documents in a YAML text; on text that cannot be read, notes the mistake and returns none."""
    if len(text) > LARGEST_FILE:
        at.wrong(f"{len(text)} characters", f"at most {LARGEST_FILE}", f"至多 {LARGEST_FILE} 个字符")
        return ()
    try:
        return tuple(_documents(YAML(typ="safe", pure=True).parse(text), at))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        at.on(line).wrong("text that is not YAML", "YAML 1.2", "YAML 1.2 格式的文本")
    except (YAMLError, ValueError):
        at.wrong("text that is not YAML", "YAML 1.2", "YAML 1.2 格式的文本")
    except _Refused:
        pass
    return ()


def _documents(events: Iterator[Any], at: At) -> Iterator[Node]:
    """One tree a document; an empty document yields none."""
    for event in events:
        if isinstance(event, DocumentStartEvent):
            node = _node(next(events), events, at, 0)
            next(events)  # the end of the document
            if not (isinstance(node, Leaf) and node.value is None):
                yield node


def _node(event: Any, events: Iterator[Any], at: At, depth: int) -> Node:
    line = event.start_mark.line + 1
    if getattr(event, "anchor", None) is not None:
        raise _refused(at.on(line), "an anchor or alias", "write the value out", "请直接写出内容")
    if event.tag is not None:
        raise _refused(at.on(line), "a tag", "write the plain value", "请直接写值，不使用标签")
    if depth > DEEPEST:
        raise _refused(at.on(line), "deep nesting", f"at most {DEEPEST} levels", f"至多 {DEEPEST} 层")
    if isinstance(event, ScalarEvent):
        return Leaf(event.value, bool(event.implicit[0]), line)
    if isinstance(event, SequenceStartEvent):
        return Items(tuple(_items(events, at, depth + 1)), line)
    return _mapping(events, at, depth + 1, line)


def _items(events: Iterator[Any], at: At, depth: int) -> Iterator[Node]:
    while not isinstance(event := next(events), SequenceEndEvent):
        yield _node(event, events, at, depth)


def _mapping(events: Iterator[Any], at: At, depth: int, line: int) -> Fields:
    """A mapping; a key that stands twice is noted and its first value kept."""
    found: dict[str, tuple[Leaf, Node]] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        key = _node(event, events, at, depth)
        if not isinstance(key, Leaf):
            raise _refused(at.on(key.line), "a key that is not a word", "a word as key", "键必须是一个词")
        value = _node(next(events), events, at, depth)
        if key.text in found:
            at.child(key.text, key.line).wrong("the same key again", "each key once", "同一键只能出现一次")
        else:
            found[key.text] = (key, value)
    return Fields(tuple(found.values()), line)


def _refused(at: At, found: str, en: str, zh: str) -> _Refused:
    at.wrong(found, en, zh)
    return _Refused()
