"""``authorize``: walk a relation and judge every expression that stands over private rows.

Public rows need no check: public tables are open, and what a release has made public is free to process
further.  The catalogue is floor ∩ dataset ∩ grant already, so a column that is not granted does not exist
here.  Every reason is collected; one expression's refusal never hides another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sandbox.catalogue import Catalogue
from sandbox.errors import Reason, Refusal
from sandbox.policy.authorize import reasons
from sandbox.policy.authorize.atoms import Role, Site
from sandbox.policy.authorize.conditions import condition
from sandbox.policy.authorize.keys import keys, ordering
from sandbox.policy.authorize.measures import argument, released, within
from sandbox.policy.authorize.views import Tracer, View, carried, over
from sandbox.policy.authorize.work import moderate_work
from sandbox.sql.expressions import Call, Col, Expr, Win, conjuncts, map_agg
from sandbox.sql.nearest import instead
from sandbox.sql.relation import (
    Aggregate,
    Distinct,
    Filter,
    Join,
    Relation,
    SemiJoin,
    Window,
    inputs,
    visible,
)


def authorize(relation: Relation, catalogue: Catalogue) -> tuple[Reason, ...]:
    """Every reason why the grant does not allow this relation; none means that it is allowed.

    Each reason names the column as ``table.column``, the use that is missing as ``rule``, and in both
    languages what would be allowed.  Raises nothing.
    """
    found = [*_Walk(catalogue).all(relation), *moderate_work(relation)]
    if relation.privacy is not None:
        names = ", ".join(relation.fields[i].name for i in visible(relation))
        found.append(reasons.raw_output(names, instead(relation, relation.privacy.kind)))
    return tuple(dict.fromkeys(found))


class _Walk:
    """One walk over a relation.  ``same``: public atoms that an equality ties to protected ones."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.tracer = Tracer()
        self.site = Site(self.tracer.atoms, catalogue)
        self.same: dict[int, tuple[int, ...]] = {}
        self._done: set[int] = set()

    def all(self, relation: Relation) -> Iterator[Reason]:
        """The reasons of the relation and everything under it, inner ones first."""
        if id(relation) in self._done:
            return
        self._done.add(id(relation))
        for below in inputs(relation):
            yield from self.all(below)
        try:
            yield from self._node(relation)
        except Refusal as too_large:
            yield from too_large.reasons

    def _node(self, node: Relation) -> Iterator[Reason]:
        match node:
            case Filter() if node.privacy is not None:
                yield from self._conditions(node.predicate, self.tracer.views(node.input))
            case Join() | SemiJoin() if node.privacy is not None:
                yield from self._conditions(node.on, self.tracer.beside(node.left, node.right))
            case Aggregate() if node.input.privacy is not None:
                for view in self.tracer.views(node.input):
                    yield from self._aggregate(node, view)
            case Distinct() if node.privacy is not None:
                for view in self.tracer.views(node.input):
                    shown = tuple(view[i] for i in visible(node))
                    yield from keys(shown, self.site, self.same, private=True)
            case Window() if node.privacy is not None:
                for view in self.tracer.views(node.input):
                    for win in node.wins:
                        yield from self._window(win, view)
            case _:
                return

    def _conditions(self, expr: Expr, views: Iterable[View]) -> Iterator[Reason]:
        for view in views:
            for part in conjuncts(over(expr, view)):
                yield from condition(part, self.site)
                self._tie(part)

    def _tie(self, part: Expr) -> None:
        """Remember that a public column equals a protected one from here on."""
        match part:
            case Call("eq", (Col(a), Col(b))):
                for one, other in ((a, b), (b, a)):
                    if self.site.atoms[one].role is Role.PUBLIC and self.site.atoms[other].protected:
                        self.same[one] = (*self.same.get(one, ()), other)
            case _:
                return

    def _aggregate(self, node: Aggregate, view: View) -> Iterator[Reason]:
        site, private = self.site, node.privacy
        yield from keys(
            tuple(over(key, view) for key in node.keys), site, self.same, private=private is not None
        )
        for agg in node.aggs:
            traced = map_agg(agg, lambda expr: over(expr, view))
            if private is None:
                assert node.input.privacy is not None
                yield from released(traced, site, node.input.privacy.scope, node.input.privacy.kind)
            else:
                yield from within(traced, site)
                if traced.by is not None:
                    yield from ordering(traced.by, site)

    def _window(self, win: Win, view: View) -> Iterator[Reason]:
        site = self.site
        yield from keys(tuple(over(part, view) for part in win.partition), site, self.same, private=True)
        for sort in win.order:
            yield from ordering(over(sort.expr, view), site)
        if win.args and carried(win) is None:
            yield from argument(win.name, over(win.args[0], view), site)
