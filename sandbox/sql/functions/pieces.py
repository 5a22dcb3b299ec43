"""Text functions of several pieces: splitting, padding, joining by a separator, letters one for one."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.registry import TEXTS, Function, Rule, Value, call, checked, fixed, span
from sandbox.sql.functions.texts import ONE, TEXT, constant_integer

LONGEST = 200
"""The greatest length that padding gives, and the last piece that splitting counts to."""


def constant_text(name: str, facts: Facts) -> str:
    """The value of a constant text argument that is not empty; refused otherwise."""
    domain = facts.domain
    value = domain[0] if domain is not None and len(domain) == 1 else None
    if not isinstance(value, str) or not value:
        raise refuse(Code.ARGUMENT, name, "give it a constant text that is not empty", "参数须为非空文本常量")
    return value


def _measured(name: str, text: int, number: int) -> Rule:
    """A rule: a text, with a constant text and a constant number at those positions."""

    def rule(facts: tuple[Facts, ...]) -> Facts:
        checked(name, ONE, TEXT)(facts)
        constant_text(name, facts[text])
        constant_integer(name, facts[number], 1, LONGEST)
        return TEXT((facts[0],))

    return rule


def _split_part(text: str, separator: str, number: int) -> str:
    parts = text.split(separator)
    return parts[number - 1] if number <= len(parts) else ""


def _fill(text: str, length: int, fill: str) -> str:
    missing = max(length - len(text), 0)
    return (fill * missing)[:missing]


def _padded(name: str, pad: Callable[[str, int, str], str]) -> Function:
    return Function(
        name,
        3,
        3,
        _measured(name, 2, 1),
        pad,
        call(name),
        frozenset({1, 2}),
        example=f"{name}(code, 6, '0')",
    )


def _joined_rule(facts: tuple[Facts, ...]) -> Facts:
    constant_text("concat_ws", facts[0])
    return checked("concat_ws", dict.fromkeys(range(9), TEXTS), fixed(Kind.STRING, nullable=False))(facts)


def _joined(separator: str, *parts: Value) -> str:
    return separator.join(p for p in parts if p is not None)


def _translate(text: str, old: str, new: str) -> str:
    """Each letter of ``old`` becomes that of ``new`` at its (first) place, or is dropped if there is none."""
    table = {ord(c): (new[i] if i < len(new) else None) for i, c in reversed(list(enumerate(old)))}
    return text.translate(table)


def _counted(name: str, count: Callable[[str], int], low: int, high: int) -> Function:
    rule = checked(name, ONE, fixed(Kind.INTEGER, span=span(low, high)))
    return Function(
        name,
        1,
        1,
        rule,
        count,
        lambda a, f, o: f"CAST({name}({a[0]}) AS BIGINT)",
        example=f"{name}(city)",
    )


FUNCTIONS = (
    Function(
        "split_part",
        3,
        3,
        _measured("split_part", 1, 2),
        _split_part,
        call("split_part"),
        frozenset({1, 2}),
        example="split_part(code, '-', 1)",
    ),
    _padded("lpad", lambda s, n, f: (_fill(s, n, f) + s)[:n]),
    _padded("rpad", lambda s, n, f: (s + _fill(s, n, f))[:n]),
    Function(
        "concat_ws",
        2,
        9,
        _joined_rule,
        _joined,
        call("concat_ws"),
        frozenset({0}),
        strict=False,
        example="concat_ws('-', city, code)",
    ),
    Function(
        "translate",
        3,
        3,
        checked("translate", dict.fromkeys(range(3), TEXTS), TEXT),
        _translate,
        call("translate"),
        frozenset({1, 2}),
        example="translate(code, '-.', '__')",
    ),
    _counted("ascii", lambda s: ord(s[0]) if s else 0, 0, 0x10FFFF),
    _counted("unicode", lambda s: ord(s[0]) if s else -1, -1, 0x10FFFF),
    _counted("strlen", lambda s: len(s.encode()), 0, 2**33),
    _counted("bit_length", lambda s: 8 * len(s.encode()), 0, 2**36),
)
