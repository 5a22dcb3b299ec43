"""``listed``: the values that expressions over a relation can take, where public tables alone say so.

``SELECT n_name … FROM claim JOIN supplier … JOIN nation … WHERE r_name = 'ASIA' GROUP BY n_name`` can have no
other groups than the names of nations that public tables join to Asia.  So a release needs no threshold to
hide which groups there are: all of these are shown, empty or not.

The relation is taken apart into its leaves (public relations; stored or computed protected ones) and the
conditions that hold in every row.  A protected column that must equal a public one stands for it.  What
remains are the public leaves that the expressions need, with the conditions among them: a public relation
whose rows are *at least* the combinations that occur.  Pure, and never a question to protected rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.catalogue import Kind, Scalar
from sandbox.sql.build import distinct, filter_, join, project
from sandbox.sql.expressions import (
    TRUE,
    Call,
    Col,
    Expr,
    Literal,
    columns,
    conjunction,
    conjuncts,
    remap,
    substitute,
)
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Field,
    Filter,
    Join,
    Project,
    Relation,
    Released,
    Scan,
    SemiJoin,
    SetOp,
    Values,
    Window,
)

Output = Expr | None
"""What a field is over the columns of all leaves; ``None``: not known."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A relation taken apart: leaves, its fields over their columns side by side, what holds in its rows."""

    leaves: tuple[Relation, ...]
    outputs: tuple[Output, ...]
    holds: tuple[Expr, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns of all leaves."""
        return tuple(f for leaf in self.leaves for f in leaf.fields)


def take_apart(relation: Relation) -> Taken:
    """The leaves of a relation and the conditions that every one of its rows fulfils."""
    match relation:
        case Filter():
            below = take_apart(relation.input)
            return Taken(
                below.leaves, below.outputs, (*below.holds, *_over(relation.predicate, below.outputs))
            )
        case Project():
            below = take_apart(relation.input)
            return Taken(below.leaves, tuple(_moved(e, below.outputs) for e in relation.exprs), below.holds)
        case Join():
            return _joined(relation)
        case SemiJoin():
            return _semi_joined(relation)
        case Aggregate() if relation.privacy is not None:
            below = take_apart(relation.input)
            keys = tuple(_moved(e, below.outputs) for e in relation.keys)
            return Taken(below.leaves, (*keys, *(None for _ in relation.aggs)), below.holds)
        case Window():
            below = take_apart(relation.input)
            return Taken(below.leaves, (*below.outputs, *(None for _ in relation.wins)), below.holds)
        case Distinct():
            return take_apart(relation.input)
        case _:
            return _leaf(relation)


def _equated(condition: Expr) -> tuple[int, int] | None:
    """The two columns that a condition sets equal."""
    match condition:
        case Call("eq", (Col(a), Col(b))):
            return a, b
        case _:
            return None


def _leaf(relation: Relation) -> Taken:
    return Taken((relation,), tuple(Col(i) for i in range(len(relation.fields))), ())


def _moved(expr: Expr, outputs: Sequence[Output]) -> Output:
    known = [outputs[i] for i in sorted(columns(expr))]
    if any(e is None for e in known):
        return None
    return substitute(expr, tuple(e if e is not None else expr for e in outputs))


def _over(condition: Expr, outputs: Sequence[Output]) -> tuple[Expr, ...]:
    """The conjuncts that can be said over the leaves' columns."""
    found = (_moved(part, outputs) for part in conjuncts(condition))
    return tuple(part for part in found if part is not None and part != TRUE)


def _beside(left: Taken, right: Taken) -> Taken:
    """Both taken apart, the right's columns after the left's."""
    width = len(left.fields)

    def shifted(expr: Expr) -> Expr:
        return remap(expr, lambda i: i + width)

    outputs = tuple(None if e is None else shifted(e) for e in right.outputs)
    holds = tuple(shifted(e) for e in right.holds)
    return Taken((*left.leaves, *right.leaves), (*left.outputs, *outputs), (*left.holds, *holds))


def _joined(relation: Join) -> Taken:
    left = take_apart(relation.left)
    if relation.kind != "inner":
        # What stands on the padded side may be NULL, and its condition holds only where it is not.
        return Taken(left.leaves, (*left.outputs, *(None for _ in relation.right.fields)), left.holds)
    both = _beside(left, take_apart(relation.right))
    return Taken(both.leaves, both.outputs, (*both.holds, *_over(relation.on, both.outputs)))


def _semi_joined(relation: SemiJoin) -> Taken:
    left = take_apart(relation.left)
    if relation.anti:
        return left
    both = _beside(left, take_apart(relation.right))
    return Taken(both.leaves, left.outputs, (*both.holds, *_over(relation.on, both.outputs)))


def choices(expr: Expr, relation: Relation) -> tuple[Scalar, ...] | None:
    """The constants of which a condition says that the expression must be one: ``x IN ('a', 'b')``."""
    node = relation
    while isinstance(node, Filter):
        found = _named(expr, conjuncts(node.predicate))
        if found is not None:
            return found
        node = node.input
    taken = take_apart(relation)
    own = _moved(expr, taken.outputs)
    return None if own is None else _named(own, taken.holds)


def _named(expr: Expr, holds: Iterable[Expr]) -> tuple[Scalar, ...] | None:
    for part in holds:
        match part:
            case Call("in", (subject, *options)) if subject == expr:
                return _constants(options)
            case Call("eq", (subject, Literal() as only)) if subject == expr:
                return _constants([only])
            case _:
                continue
    return None


def _constants(options: Iterable[Expr]) -> tuple[Scalar, ...] | None:
    values: list[Scalar] = []
    for option in options:
        if not isinstance(option, Literal) or not isinstance(option.value, str | int):
            return None
        values.append(option.value)
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Listed:
    """A public relation with one row for each combination; ``narrow``: by more than the columns' own values.

    ``most`` bounds its rows by the size of the tables whose columns are shown, where that is known.
    """

    relation: Relation
    narrow: bool
    most: int | None


def listed(exprs: Sequence[Expr], relation: Relation) -> Listed | None:
    """All combinations of values of ``exprs`` that can occur; ``None`` where public tables do not say."""
    return _Lister(take_apart(relation)).listed(exprs)


class _Lister:
    """Rewrites expressions over public leaves, and joins the leaves that they need."""

    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self.fields = taken.fields
        self.owner = [i for i, leaf in enumerate(taken.leaves) for _ in leaf.fields]
        self.same = list(range(len(self.fields)))
        for part in taken.holds:
            self._tie(part)

    def listed(self, exprs: Sequence[Expr]) -> Listed | None:
        keys = [self._public(_moved(e, self.taken.outputs)) for e in exprs]
        found = [k for k in keys if k is not None]
        if len(found) < len(keys) or not any(columns(k) for k in found):
            return None
        holds = self._holds()
        shown = {self.owner[i] for k in found for i in columns(k)}
        leaves = self._closure(shown, holds)
        joined, places = self._join(leaves, holds)
        moved = [("", remap(k, places.__getitem__)) for k in found]
        most: int | None = 1
        for size in (rows_of(self.taken.leaves[i]) for i in sorted(shown - self._determined(shown, holds))):
            most = None if most is None or size is None else most * size
        narrow = any(self._within(h, leaves) for h in holds)
        return Listed(distinct(project(joined, moved)), narrow, most)

    def _tie(self, part: Expr) -> None:
        """Columns set equal, as they are stored, are one column under two names."""
        if (both := _equated(part)) is None:
            return
        one, other = (self.fields[i].facts.kind for i in both)
        if one is other and one is not Kind.DOUBLE:
            low, high = sorted(self._root(i) for i in both)
            self.same[high] = low

    def _root(self, index: int) -> int:
        while self.same[index] != index:
            index = self.same[index]
        return index

    def _is_public(self, index: int) -> bool:
        return self.taken.leaves[self.owner[index]].privacy is None

    def _public(self, expr: Output) -> Output:
        """The expression over public columns only."""
        if expr is None:
            return None
        moved: dict[int, int] = {}
        for index in columns(expr):
            found = index if self._is_public(index) else self._twin(index)
            if found is None:
                return None
            moved[index] = found
        return remap(expr, moved.__getitem__)

    def _twin(self, index: int) -> int | None:
        """A public column that the column must equal."""
        root = self._root(index)
        alike = (i for i in range(len(self.same)) if self._root(i) == root and self._is_public(i))
        return next(alike, None)

    def _holds(self) -> tuple[Expr, ...]:
        """The conditions over public columns, those included that follow through protected ones."""
        said = (self._public(part) for part in self.taken.holds)
        found = [part for part in said if part is not None]
        firsts: dict[int, int] = {}
        for index in filter(self._is_public, range(len(self.same))):
            first = firsts.setdefault(self._root(index), index)
            if first != index:
                found.append(Call("eq", (Col(first), Col(index))))
        return tuple(part for part in dict.fromkeys(found) if not _trivial(part))

    def _within(self, part: Expr, leaves: Iterable[int]) -> bool:
        return {self.owner[i] for i in columns(part)} <= set(leaves)

    def _determined(self, shown: set[int], holds: Sequence[Expr]) -> set[int]:
        """The leaves of which another shown leaf's row names at most one row."""
        found: set[int] = set()
        for a, b in filter(None, map(_equated, holds)):
            for one, other in ((a, b), (b, a)):
                leaf, by = self.owner[one], self.owner[other]
                if self.fields[one].unique and leaf != by and {leaf, by} <= shown and by not in found:
                    found.add(leaf)
        return found

    def _closure(self, shown: set[int], holds: Sequence[Expr]) -> list[int]:
        """The leaves shown, and every leaf that an equality ties to one of them."""
        leaves, grew = set(shown), True
        while grew:
            tied = [{self.owner[i] for i in columns(part)} for part in holds if _equal(part)]
            wider = leaves.union(*(t for t in tied if t & leaves))
            grew, leaves = wider != leaves, wider
        return sorted(leaves)

    def _join(self, leaves: Sequence[int], holds: Sequence[Expr]) -> tuple[Relation, dict[int, int]]:
        """The leaves joined, each by the conditions that tie it to those before; and where columns stand."""
        waiting = list(leaves)
        places: dict[int, int] = {}
        relation: Relation | None = None
        left = list(holds)
        while waiting:
            chosen = next((i for i in waiting if self._tied(i, places, left)), waiting[0])
            waiting.remove(chosen)
            leaf, own = self.taken.leaves[chosen], self._columns(chosen)
            inside = {index: i for i, index in enumerate(own)}
            alone = [h for h in left if columns(h) <= inside.keys()]
            leaf = filter_(leaf, conjunction(tuple(remap(h, inside.__getitem__) for h in alone)))
            width = 0 if relation is None else len(relation.fields)
            places |= {index: width + i for index, i in inside.items()}
            ready = [h for h in left if h not in alone and columns(h) <= places.keys()]
            on = conjunction(tuple(remap(h, places.__getitem__) for h in ready))
            relation = leaf if relation is None else join("inner", relation, leaf, on)
            left = [h for h in left if h not in alone and h not in ready]
        assert relation is not None
        return relation, places

    def _tied(self, leaf: int, places: dict[int, int], holds: Sequence[Expr]) -> bool:
        own = set(self._columns(leaf))
        return any(
            columns(h) & own and columns(h) & places.keys() and columns(h) <= own | places.keys()
            for h in holds
        )

    def _columns(self, leaf: int) -> range:
        start = sum(len(r.fields) for r in self.taken.leaves[:leaf])
        return range(start, start + len(self.taken.leaves[leaf].fields))


def _equal(part: Expr) -> bool:
    match part:
        case Call("eq", (Col(), Col())):
            return True
        case _:
            return False


def _trivial(part: Expr) -> bool:
    match part:
        case Call("eq", (Col(a), Col(b))):
            return a == b
        case _:
            return not columns(part)


def rows_of(relation: Relation) -> int | None:
    """An upper bound on the rows of a public relation, where known."""
    match relation:
        case Scan():
            return relation.table.extent
        case Values():
            return len(relation.rows)
        case Aggregate() if not relation.keys:
            return 1
        case Join() | SetOp():
            left, right = rows_of(relation.left), rows_of(relation.right)
            return None if left is None or right is None else max(left, 1) * max(right, 1)
        case SemiJoin():
            return rows_of(relation.left)
        case Released():
            return None
        case _:
            return rows_of(relation.input)
