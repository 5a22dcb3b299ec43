"""The allow list of scalar functions: one record each, and nothing outside it can be called.

A record declares the result's facts (type, range, scale), how many arguments it takes, which of
them must be constants, what it means on one row of Python values (the oracle and constant folding
use this), and how DuckDB spells it.  Every function is *total*: no row makes it raise.  Where
mathematics has no answer (division by zero, logarithm of zero), the answer is NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sandbox.catalogue import UNBOUNDED, Kind, Range
from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.expressions import Facts

Value = Any
Rule = Callable[[tuple[Facts, ...]], Facts]
Render = Callable[[list[str], tuple[Facts, ...], Facts], str]

SAFE_INTEGER = Fraction(2**62)
"""Integer arithmetic stays in BIGINT only while its derived range is inside ±2^62."""


@dataclass(frozen=True, slots=True)
class Function:
    """One allow-listed scalar function.

    ``constant``: positions that must be literals.  ``strict``: NULL in, NULL out.  ``total_if``
    names what must hold of the argument facts, else the call is refused (with the hint).
    """

    name: str
    low: int
    high: int
    rule: Rule
    evaluate: Callable[..., Value]
    render: Render
    constant: frozenset[int] = frozenset()
    strict: bool = True
    family: str = "text"
    example: str = ""

    def __call__(self, values: list[Value]) -> Value:
        """The value on one row of arguments."""
        if self.strict and None in values:
            return None
        return self.evaluate(*values)


def kinds_must(name: str, facts: tuple[Facts, ...], wanted: Mapping[int, tuple[Kind, ...]]) -> None:
    """Refuse unless each position's kind is one of those wanted; what is always NULL fits anywhere."""
    for position, allowed in wanted.items():
        if position >= len(facts) or facts[position].domain == ():
            continue
        if facts[position].kind not in allowed:
            found, expected = facts[position].kind.value, " or ".join(k.value for k in allowed)
            hint = f"give it {expected}; a CAST may help"
            raise mistyped(facts, f"{name}({found})", hint, f"应为 {expected}，可使用 CAST")


ONLY_COUNTED = (
    "a privacy unit may only be counted (COUNT(DISTINCT …)) and joined as the grant lists",
    "隐私单元只能去重计数，或按授权列出的方式连接",
)


def mistyped(facts: Sequence[Facts], subject: str, hint: str, hint_zh: str) -> Refusal:
    """The refusal (TYPE) of values of the wrong kind; with a privacy unit among them, of its use (USE).

    A unit is stored as a number whatever its column holds at the source, so that its kind would be no
    reason that a reader of the catalogue could understand, and no CAST would help.
    """
    unit = next((f.unit for f in facts if f.unit), "")
    if unit:
        return refuse(Code.USE, unit, *ONLY_COUNTED, column=unit.rpartition(".")[2])
    return refuse(Code.TYPE, subject, hint, hint_zh)


NUMBERS = (Kind.INTEGER, Kind.DOUBLE)
TEXTS = (Kind.STRING,)
TIMES = (Kind.DATE, Kind.TIMESTAMP)
TRUTHS = (Kind.BOOLEAN,)


def any_null(facts: tuple[Facts, ...]) -> bool:
    """Whether some argument may be NULL."""
    return any(f.nullable for f in facts)


def fixed(kind: Kind, nullable: bool | None = None, span: Range = UNBOUNDED) -> Rule:
    """A rule whose kind and range do not depend on the arguments."""

    def rule(facts: tuple[Facts, ...]) -> Facts:
        empty = any_null(facts) if nullable is None else nullable
        scale = Fraction(1) if kind is Kind.INTEGER else None
        domain = None
        if kind is Kind.BOOLEAN:
            domain = (False, True)
        return Facts(kind, empty, span, scale, domain)

    return rule


def checked(name: str, wanted: Mapping[int, tuple[Kind, ...]], rule: Rule) -> Rule:
    """A rule that checks argument kinds first."""

    def inner(facts: tuple[Facts, ...]) -> Facts:
        kinds_must(name, facts, wanted)
        return rule(facts)

    return inner


def call(spelling: str) -> Render:
    """Render as a plain DuckDB call."""
    return lambda args, facts, out: f"{spelling}({', '.join(args)})"


def span(lo: int | Fraction | None, hi: int | Fraction | None) -> Range:
    """A range from plain numbers."""
    return Range(None if lo is None else Fraction(lo), None if hi is None else Fraction(hi))
