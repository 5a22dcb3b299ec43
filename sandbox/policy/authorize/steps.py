"""Steps: is a column used only in bands at least as wide as its declared ``step``?

A coarsening is a function of the *bare* column whose value changes only at fixed borders: arithmetic
before it would move the borders, and two grids of borders laid over each other cut finer bands, so both
count as uncoarsened.  What is done with a coarsened value afterwards is free: coarse in, coarse out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sandbox.catalogue import Column, Kind
from sandbox.policy.authorize.atoms import Atom, Role
from sandbox.sql.expressions import Call, Cast, Col, Expr, Literal, walk

GRAINS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
DAY = GRAINS.index("day")
# The coarsest step under which a part of a date may be seen.  A day's place in its week, or an hour's in
# its day, identifies no day by itself.
PARTS = {
    "year": "year",
    "quarter": "quarter",
    "month": "month",
    "week": "week",
    "day": "day",
    "dayofyear": "day",
    "dayofweek": "day",
    "isodow": "day",
    "hour": "day",
    "minute": "minute",
    "second": "second",
}
DIRECTIVES = {"Y": "year", "m": "month", "d": "day", "j": "day", "H": "hour", "M": "minute", "S": "second"}
ROUNDING = frozenset({"floor", "ceil", "trunc", "round"})


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands of the column at ``index``: numeric of a ``width``, or of time with a ``grain``.

    ``phase`` names how borders are placed: bands of one phase whose widths divide nest in each other.
    ``grain`` is the coarsest step that the bands satisfy.
    """

    index: int
    phase: str
    width: Fraction = Fraction(0)
    grain: str = ""

    def satisfy(self, column: Column) -> bool:
        """Whether the bands are at least as coarse as the column's step."""
        step = column.step
        if step is None:
            return True
        if isinstance(step, str):
            return self.grain != "" and GRAINS.index(self.grain) >= GRAINS.index(step)
        return self.width >= step


def bands(expr: Expr, atoms: Sequence[Atom]) -> Bands | None:
    """The bands that ``expr`` puts a bare stored column into, if it does."""
    found = _temporal(expr) or _numeric(expr) or _day(expr, atoms)
    if found is None or atoms[found.index].role is not Role.STORED:
        return None
    return found


def coarse(expr: Expr, atoms: Sequence[Atom]) -> Bands | None:
    """The bands, if they are as coarse as the column's step asks."""
    found = bands(expr, atoms)
    return found if found is not None and found.satisfy(atoms[found.index].column) else None


def _temporal(expr: Expr) -> Bands | None:
    match expr:
        case Call("date_trunc", (Literal(str(unit)), arg)):
            return _grain(arg, unit)
        case Call("last_day", (arg,)):
            return _grain(arg, "month")
        case Call("strftime", (arg, Literal(str(text)))):
            used = [DIRECTIVES[part[0]] for part in text.split("%")[1:]]
            return _grain(arg, min(used, key=GRAINS.index, default="year"))
        case Call(name, (arg,)) if name in PARTS:
            return _grain(arg, PARTS[name])
        case Cast(arg, Kind.DATE):
            return _grain(arg, "day")
        case _:
            return None


def _day(expr: Expr, atoms: Sequence[Atom]) -> Bands | None:
    """A date as it is: nothing is finer than its day."""
    if isinstance(expr, Col) and atoms[expr.index].kind is Kind.DATE:
        return Bands(expr.index, "calendar", grain="day")
    return None


def _grain(arg: Expr, grain: str) -> Bands | None:
    while isinstance(arg, Cast) and arg.kind.temporal:
        # A cast to DATE only coarsens: what is taken of the day is no finer than of the time.
        arg = arg.arg
    return Bands(arg.index, "calendar", grain=grain) if isinstance(arg, Col) else None


def _numeric(expr: Expr) -> Bands | None:
    match expr:
        case Call("round", (arg, Literal(int(digits)))):
            return _banded("round", arg, Fraction(10) ** -digits)
        case Call(name, (arg,)) if name in ROUNDING:
            return _banded(name, arg, Fraction(1))
        case Cast(arg, Kind.INTEGER):
            return _banded("round", arg, Fraction(1))
        case Call("idiv", (Col(index), Literal(value))):
            return Bands(index, "trunc", _size(value))
        case Call("sub", (Col(index), Call("mod", (Col(same), Literal(value))))) if index == same:
            return Bands(index, "trunc", _size(value))
    return None


def _banded(phase: str, arg: Expr, unit: Fraction) -> Bands | None:
    """Rounding to ``unit`` of the column, divided or multiplied by a constant."""
    match arg:
        case Col(index):
            return Bands(index, phase, unit)
        case Call("div", (Col(index), Literal(value))):
            return Bands(index, phase, unit * _size(value))
        case Call("mul", (Col(index), Literal(value)) | (Literal(value), Col(index))) if _size(value):
            return Bands(index, phase, unit / _size(value))
    return None


def _size(value: object) -> Fraction:
    return abs(Fraction(value)) if isinstance(value, int | float | Fraction) else Fraction(0)


def crossed(keys: Iterable[Expr], atoms: Sequence[Atom]) -> tuple[Atom, ...]:
    """Columns with a step whose bands in these keys, taken together, are finer than any one of them."""
    seen: dict[str, tuple[Atom, set[Bands]]] = {}
    for key in keys:
        for part in walk(key):
            found = coarse(part, atoms)
            if found is not None and atoms[found.index].column.step is not None:
                atom = atoms[found.index]
                seen.setdefault(atom.path, (atom, set()))[1].add(found)
    return tuple(atom for atom, found in seen.values() if not _nested(found, atom.column))


def _nested(found: set[Bands], column: Column) -> bool:
    if isinstance(column.step, str):
        # Weeks straddle months: only where days may be seen anyway is their overlap no finer.
        grains = {b.grain for b in found}
        return GRAINS.index(column.step) <= DAY or "week" not in grains or not grains & {"month", "quarter"}
    finest = min(b.width for b in found)
    return len({b.phase for b in found}) == 1 and all((b.width / finest).denominator == 1 for b in found)
