"""Text functions.  Results never grow beyond a small multiple of their arguments."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.catalogue import Kind
from sandbox.errors import Code, refuse
from sandbox.sql.expressions import Facts
from sandbox.sql.functions.letters import SPACES, lower, upper
from sandbox.sql.functions.registry import TEXTS, Function, Rule, Value, call, checked, fixed, span

TEXT = fixed(Kind.STRING)
LENGTH = fixed(Kind.INTEGER, span=span(0, 2**31))
ONE = {0: TEXTS}
TWO = {0: TEXTS, 1: TEXTS}


def _map(name: str, fn: Callable[[str], str]) -> Function:
    return Function(name, 1, 1, checked(name, ONE, TEXT), fn, call(name), example=f"{name}(city)")


def _test(name: str, fn: Callable[[str, str], bool]) -> Function:
    rule = checked(name, TWO, fixed(Kind.BOOLEAN))
    return Function(
        name, 2, 2, rule, fn, call(name), frozenset({1}), family="compare", example=f"{name}(city, '太')"
    )


def constant_integer(name: str, facts: Facts, low: int, high: int) -> int:
    """The value of a constant integer argument inside bounds; refused otherwise."""
    domain = facts.domain
    if facts.kind is not Kind.INTEGER or domain is None or len(domain) != 1:
        raise refuse(Code.ARGUMENT, name, "give it constant integers", "参数须为整数常量")
    value = domain[0]
    if not isinstance(value, int) or not low <= value <= high:
        raise refuse(
            Code.ARGUMENT, name, f"give it a number from {low} to {high}", f"参数须在 {low} 到 {high} 之间"
        )
    return value


def _with_numbers(name: str, low: int, high: int) -> Rule:
    def rule(facts: tuple[Facts, ...]) -> Facts:
        checked(name, ONE, TEXT)(facts)
        for part in facts[1:]:
            constant_integer(name, part, low, high)
        return TEXT(facts)

    return rule


def _substr(text: str, start: int, length: int | None = None) -> str:
    end = None if length is None else start - 1 + length
    return text[start - 1 : end]


def _reverse_render(args: list[str], facts: tuple[Facts, ...], out: Facts) -> str:
    # The engine's own reverse() keeps combined characters together; this one goes by code points, as
    # length() and substr() do.
    return f"array_to_string(list_reverse(regexp_extract_all({args[0]}, '(?s).')), '')"


def _concat(*parts: Value) -> str:
    return "".join(p for p in parts if p is not None)


FUNCTIONS = (
    _map("lower", lower),
    _map("upper", upper),
    _map("trim", lambda s: s.strip(SPACES)),
    _map("ltrim", lambda s: s.lstrip(SPACES)),
    _map("rtrim", lambda s: s.rstrip(SPACES)),
    Function(
        "reverse",
        1,
        1,
        checked("reverse", ONE, TEXT),
        lambda s: s[::-1],
        _reverse_render,
        example="reverse(city)",
    ),
    Function("length", 1, 1, checked("length", ONE, LENGTH), len, call("length"), example="length(city)"),
    Function(
        "substr",
        2,
        3,
        _with_numbers("substr", 1, 10_000),
        _substr,
        call("substr"),
        frozenset({1, 2}),
        example="substr(code, 1, 2)",
    ),
    Function(
        "left",
        2,
        2,
        _with_numbers("left", 0, 10_000),
        lambda s, n: s[:n],
        call("left"),
        frozenset({1}),
        example="left(code, 1)",
    ),
    Function(
        "right",
        2,
        2,
        _with_numbers("right", 0, 10_000),
        lambda s, n: s[len(s) - n :] if n < len(s) else s,
        call("right"),
        frozenset({1}),
        example="right(code, 1)",
    ),
    Function(
        "replace",
        3,
        3,
        checked("replace", {0: TEXTS, 1: TEXTS, 2: TEXTS}, TEXT),
        lambda s, a, b: s.replace(a, b) if a else s,
        call("replace"),
        frozenset({1, 2}),
        example="replace(city, '-', ' ')",
    ),
    Function(
        "join_text",
        2,
        8,
        checked("||", dict.fromkeys(range(8), TEXTS), TEXT),
        lambda *p: "".join(p),
        lambda a, f, o: "(" + " || ".join(a) + ")",
        example="city || '市'",
    ),
    Function(
        "concat",
        1,
        8,
        checked("concat", dict.fromkeys(range(8), TEXTS), fixed(Kind.STRING, nullable=False)),
        _concat,
        call("concat"),
        strict=False,
        example="concat(city, '市')",
    ),
    Function(
        "strpos",
        2,
        2,
        checked("strpos", TWO, LENGTH),
        lambda s, t: s.find(t) + 1,
        call("strpos"),
        frozenset({1}),
        example="strpos(city, '原')",
    ),
    _test("starts_with", str.startswith),
    _test("ends_with", str.endswith),
    _test("contains", lambda s, t: t in s),
)
