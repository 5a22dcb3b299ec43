"""The normal form of inner joins: one for every way to write the same tables with the same conditions.

``FROM a JOIN b ON p AND q``, ``FROM b, a WHERE q AND p``, ``FROM (SELECT * FROM a WHERE q) JOIN b ON p``
ask one question, so they get one plan: one price, one kept answer, and no second draw of noise.

A block of inner joins, filters and projections is taken apart into its leaves (everything else) and the
conditions that hold in its rows.  It is put together again with each condition as low as it can stand and
the leaves in an order that the text does not decide: protected ones first, then what meets one row, then
what any equality ties.  Only two equal leaves, a table joined to itself, keep the order of the text.
Conditions stay as they were stated, since grants list which columns may be set equal.

Soundness: rows and fields are the same, and every join is made by ``build`` again, which asks for the tie of
units anew.  The tie is taken from the conditions that ``build`` put there, never invented here: where it ties
a to b and b to c, it may now tie a to c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sandbox.sql.build import fan_out, filter_, join
from sandbox.sql.canonical import canonical, canonical_expr
from sandbox.sql.expressions import (
    TRUE,
    Call,
    Col,
    Expr,
    columns,
    conjunction,
    conjuncts,
    remap,
    substitute,
)
from sandbox.sql.relation import Filter, Join, Project, Relation, facts


@dataclass(frozen=True, slots=True)
class Block:
    """Leaves, their columns side by side; the block's fields and the conditions of its rows over these."""

    leaves: tuple[Relation, ...]
    outputs: tuple[Expr, ...]
    holds: tuple[Expr, ...]

    @property
    def width(self) -> int:
        """How many columns the leaves have."""
        return sum(len(leaf.fields) for leaf in self.leaves)


def gathered(relation: Relation, leaf: Callable[[Relation], Relation]) -> Block:
    """The block at the top of a relation; ``leaf`` makes the simple form of what is below it."""
    match relation:
        case Join(kind="inner"):
            left, right = gathered(relation.left, leaf), gathered(relation.right, leaf)
            width = left.width
            outputs = (*left.outputs, *(_shifted(e, width) for e in right.outputs))
            holds = (*left.holds, *(_shifted(e, width) for e in right.holds))
            return Block(
                (*left.leaves, *right.leaves), outputs, (*holds, *_parts(substitute(relation.on, outputs)))
            )
        case Filter():
            below = gathered(relation.input, leaf)
            tests = _parts(substitute(relation.predicate, below.outputs))
            return Block(below.leaves, below.outputs, (*below.holds, *tests))
        case Project():
            below = gathered(relation.input, leaf)
            exprs = tuple(substitute(e, below.outputs) for e in relation.exprs)
            return Block(below.leaves, exprs, below.holds)
        case _:
            made = leaf(relation)
            if isinstance(made, Project):
                return Block((made.input,), made.exprs, ())
            return Block((made,), tuple(Col(i) for i in range(len(made.fields))), ())


def _shifted(expr: Expr, by: int) -> Expr:
    return remap(expr, lambda i: i + by)


def _parts(condition: Expr) -> list[Expr]:
    return [part for part in conjuncts(condition) if part != TRUE]


def arranged(block: Block) -> tuple[Relation, tuple[Expr, ...]]:
    """The block put together in its normal form, and its fields over that."""
    if len(block.leaves) == 1:
        return filter_(block.leaves[0], _all(block.holds)), block.outputs
    relation, places = _Arranger(block).arrange()
    return relation, tuple(remap(e, places.__getitem__) for e in block.outputs)


class _Arranger:
    """Chooses leaf after leaf, and joins it by all that can be said of it and those before.

    Columns have two numbers: the block's, and their place in what is joined so far (``places``).
    """

    def __init__(self, block: Block) -> None:
        self.leaves = block.leaves
        self.starts = [sum(len(x.fields) for x in block.leaves[:i]) for i in range(len(block.leaves))]
        self.units = {
            start + leaf.privacy.unit
            for start, leaf in zip(self.starts, block.leaves, strict=True)
            if leaf.privacy is not None
        }
        holds = dict.fromkeys(block.holds)
        self.tied = _groups([h for h in holds if self._is_tie(h)])
        self.stated = [h for h in holds if not self._is_tie(h)]
        self.filtered = [self._filtered(i) for i in range(len(block.leaves))]
        self.texts = [canonical(leaf) for leaf in self.filtered]
        self.places: dict[int, int] = {}

    def _is_tie(self, part: Expr) -> bool:
        """Whether it says that two leaves' rows belong to one unit."""
        return _equated(part) is not None and columns(part) <= self.units

    def _columns(self, leaf: int) -> range:
        return range(self.starts[leaf], self.starts[leaf] + len(self.leaves[leaf].fields))

    def _filtered(self, leaf: int) -> Relation:
        """The leaf, of its rows those that fulfil what is said of it alone."""
        own = self._columns(leaf)
        tests = [h for h in self.stated if columns(h) and columns(h) <= set(own)]
        return filter_(self.leaves[leaf], _all(remap(t, lambda i: i - own.start) for t in tests))

    def arrange(self) -> tuple[Relation, dict[int, int]]:
        """Everything joined, and the place of each of the block's columns."""
        waiting = list(range(len(self.leaves)))
        protected = [i for i in waiting if self.leaves[i].privacy is not None]
        first = min(protected or waiting, key=lambda i: (self._shows_unit(i), self.texts[i], i))
        waiting.remove(first)
        relation = self.filtered[first]
        self.places.update(self._placed(first, 0))
        while waiting:
            width = len(relation.fields)
            known = {i: self._on(i, width) for i in waiting}
            ranks = {i: self._rank(relation, i, known[i]) for i in waiting}
            chosen = min(waiting, key=lambda i: (ranks[i], self.texts[i], i))
            waiting.remove(chosen)
            self.places.update(self._placed(chosen, width))
            relation = join("inner", relation, self.filtered[chosen], known[chosen])
        return filter_(relation, _all(h for h in self.stated if not columns(h))), self.places

    def _shows_unit(self, leaf: int) -> bool:
        """Whether the unit is a column of the text's own: a tie to it reads like a join that was stated."""
        relation = self.leaves[leaf]
        return relation.privacy is not None and not relation.fields[relation.privacy.unit].hidden

    def _placed(self, leaf: int, width: int) -> dict[int, int]:
        return {index: width + i for i, index in enumerate(self._columns(leaf))}

    def _on(self, leaf: int, width: int) -> Expr:
        """All that ties a leaf, standing at ``width``, to what is joined already."""
        own = set(self._columns(leaf))
        places = {**self.places, **self._placed(leaf, width)}
        found = [
            remap(h, places.__getitem__)
            for h in self.stated
            if columns(h) & own and not columns(h) <= own and columns(h) <= places.keys()
        ]
        for group in self.tied:
            before = [self.places[i] for i in group if i in self.places]
            found += [Call("eq", (Col(min(before)), Col(places[i]))) for i in group if i in own and before]
        return _all(found)

    def _rank(self, relation: Relation, leaf: int, on: Expr) -> int:
        """How soon a leaf should be joined: 0 is first."""
        right = self.filtered[leaf]
        equalities = sum(_equated(part) is not None for part in conjuncts(on))
        if right.privacy is not None:
            return 0 if equalities > 1 else 1  # one is the tie
        if fan_out(right, on, len(relation.fields), (*facts(relation), *facts(right))) == 1:
            return 2
        if equalities:
            return 3
        return 4 if on != TRUE else 5


def _all(parts: Iterable[Expr]) -> Expr:
    """All parts, in an order and with sides that do not depend on the text."""
    return conjunction(tuple(sorted(dict.fromkeys(map(_turned, parts)), key=canonical_expr)))


def _turned(part: Expr) -> Expr:
    pair = _equated(part)
    return part if pair is None else Call("eq", (Col(min(pair)), Col(max(pair))))


def _equated(part: Expr) -> tuple[int, int] | None:
    """The two columns set equal.  A column set equal to itself says something else: that it is not NULL."""
    match part:
        case Call("eq", (Col(a), Col(b))) if a != b:
            return a, b
        case _:
            return None


def _groups(equalities: Sequence[Expr]) -> list[list[int]]:
    """Sets of columns that are all equal, each in order."""
    groups: list[set[int]] = []
    for part in equalities:
        joined = set(columns(part)).union(*(g for g in groups if g & columns(part)))
        groups = [*(g for g in groups if not g & joined), joined]
    return [sorted(g) for g in groups]
