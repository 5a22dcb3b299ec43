"""What an answer or a refusal gives away: canaries, forbidden values, small groups, forbidden differences.

All of it is judged on what was rendered: cells as JSON, CSV and Arrow show them, headers, error texts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Final

from tests.corpus.asker import Cell, Reply, number
from tests.corpus.cases import Canaries, Case, Derive

Rows = list[list[Cell]]


def forbidden_values(reply: Reply, case: Case, canaries: Canaries) -> list[str]:
    """Canaries and forbidden values in one reply; an echo of the request's own text is none."""
    numbers = [*canaries.numbers, *(v for v in case.must_not_contain if not isinstance(v, str))]
    strings = [*canaries.strings, *(v for v in case.must_not_contain if isinstance(v, str))]
    texts = [reply.body, *reply.other_forms, *(f"{k}: {v}" for k, v in reply.headers.items())]
    found = [f"text {s!r}" for s in strings if s not in reply.sql and any(s in text for text in texts)]
    told = [reply.body] if not reply.answered else []
    told += [f"{k}: {v}" for k, v in reply.headers.items()]
    for value in dict.fromkeys(numbers):
        shown = _shown(value)
        echo = re.search(alone(shown), reply.sql) is not None
        if any(number(c) == Fraction(shown) for row in reply.rows for c in row) and not (
            echo and value not in case.must_not_contain
        ):
            found.append(f"cell {shown}")
        if not echo and any(re.search(alone(shown), text) for text in (*told, *reply.other_forms)):
            found.append(f"text {shown}")
    return found + _ids(reply, canaries)


def _ids(reply: Reply, canaries: Canaries) -> list[str]:
    """Identifiers, in cells that carry no noise: a noisy number that equals one says nothing."""
    plain = [row[i] for row in reply.rows for i, noisy in enumerate(reply.noisy) if not noisy]
    return [f"id {i}" for i in canaries.ids if any(number(c) == i for c in plain) and str(i) not in reply.sql]


def _shown(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, int) and value < 10**6 else repr(value)


def alone(shown: str) -> str:
    """A pattern of the number as a token of its own."""
    return rf"(?<![\d.]){re.escape(shown)}(?![\d]|\.\d)"


def small_groups(reply: Reply, keys: Iterable[str]) -> list[str]:
    """Rows with a small group's key that show a number without noise."""
    wanted = set(keys)
    return [
        f"group {row!r}"
        for row in reply.rows
        if wanted & {c for c in row if isinstance(c, str)}
        and any(number(c) is not None and not noisy for c, noisy in zip(row, reply.noisy, strict=True))
    ]


def holds_data(reply: Reply) -> bool:
    """Whether any cell of an answer says anything."""
    return any(cell is not None for row in reply.rows for cell in row)


Truth = Callable[[str], float]


def derived(derive: Derive, replies: Sequence[Reply], truth: Truth, k: int) -> list[str]:
    """What comes out of an expression over the answers, where it is forbidden.

    A difference of noisy answers is protected by its noise, so small counts are looked for in exact
    answers only; forbidden *values* must not come out of either.
    """
    if not all(reply.answered for reply in replies):
        return []
    if derive.forbidden == "independent noise draws":
        rows = {repr(reply.rows) for reply in replies}
        return ["equal questions, different answers"] if len(rows) > 1 else []
    values = _values(derive.expression, [reply.rows for reply in replies])
    if isinstance(derive.forbidden, str) and "k_min" in derive.forbidden:
        exact = not any(noisy for reply in replies for noisy in reply.noisy)
        sums = "sum" in derive.forbidden
        small = [v for v in values if exact and v and (sums or 0 < abs(v) < k)]
        return [f"derived {float(v)}" for v in small]
    wanted = Fraction(str(truth(str(derive.forbidden))))
    near = [v for v in values if abs(v - wanted) <= Fraction(str(derive.tolerance))]
    return [f"derived {float(v)}" for v in near]


def _values(expression: str, rows: list[Rows]) -> list[Fraction]:
    """The values of an expression; none where a cell is missing or withheld."""
    try:
        named = _NAMED.get(expression)
        return named(rows) if named is not None else [_formula(ast.parse(expression, mode="eval").body, rows)]
    except (IndexError, ArithmeticError, ValueError):
        return []


def _formula(node: ast.AST, rows: list[Rows]) -> Fraction:
    """Arithmetic over ``q[step][row][column]`` and constants.  Raises ``ValueError`` for anything else."""
    match node:
        case ast.BinOp(left, ast.Add(), right):
            return _formula(left, rows) + _formula(right, rows)
        case ast.BinOp(left, ast.Sub(), right):
            return _formula(left, rows) - _formula(right, rows)
        case ast.BinOp(left, ast.Mult(), right):
            return _formula(left, rows) * _formula(right, rows)
        case ast.BinOp(left, ast.Div(), right):
            return _formula(left, rows) / _formula(right, rows)
        case ast.UnaryOp(ast.USub(), operand):
            return -_formula(operand, rows)
        case ast.Constant(value) if isinstance(value, int | float):
            return Fraction(str(value))
        case ast.Subscript():
            return _cell(*_places(node), rows=rows)
        case _:
            raise ValueError("not an expression over the answers")


def _places(node: ast.AST) -> tuple[int, ...]:
    match node:
        case ast.Subscript(value, ast.Constant(place)) if isinstance(place, int):
            return (*_places(value), place)
        case ast.Name("q"):
            return ()
        case _:
            raise ValueError("not a cell of an answer")


def _cell(step: int, row: int, column: int, *, rows: list[Rows]) -> Fraction:
    found = number(rows[step][row][column])
    if found is None:
        raise ValueError("no number there")
    return found


def _by_key(rows: Rows) -> dict[Cell, Fraction]:
    return {row[0]: found for row in rows if (found := number(row[-1])) is not None}


def _total_less_rows(rows: list[Rows]) -> list[Fraction]:
    cells = _by_key(rows[0])
    return [cells.pop(None) - sum(cells.values())] if None in cells else []


def _cellwise(rows: list[Rows]) -> list[Fraction]:
    one, other = _by_key(rows[0]), _by_key(rows[1])
    return [one[key] - other[key] for key in one.keys() & other.keys()]


def _moments(rows: list[Rows]) -> list[Fraction]:
    (_, mean, count), (_, mean_2, count_2) = ([number(c) for c in r[0]] for r in rows)
    if mean is None or count is None or mean_2 is None or count_2 is None:
        return []
    return [count * mean - count_2 * mean_2]


def _every(rows: list[Rows]) -> list[Fraction]:
    return [found for answer in rows for row in answer for c in row if (found := number(c)) is not None]


_NAMED: Final[dict[str, Callable[[list[Rows]], list[Fraction]]]] = {
    "total row minus county rows": _total_less_rows,
    "cellwise difference": _cellwise,
    "n0*m0-n1*m1": _moments,
    "region cell equals suppressed county cell": _every,
}


def automated(derive: Derive) -> bool:
    """Whether the expression is one that this module can work out."""
    if derive.expression in _NAMED or derive.forbidden == "independent noise draws":
        return True
    try:
        _formula(ast.parse(derive.expression, mode="eval").body, [[[1] * 9] * 9] * 9)
    except (IndexError, ArithmeticError, SyntaxError, ValueError):
        return False
    return True
