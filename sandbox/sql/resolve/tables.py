"""FROM: tables, subqueries, VALUES and joins become one relation with its names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from sandbox.catalogue import Catalogue, Table
from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.build import join, project, scan, semi_join, unit_equality, values
from sandbox.sql.expressions import TRUE, Call, Col, Expr, Literal, conjunction, conjuncts, remap
from sandbox.sql.growth import Growth
from sandbox.sql.instead import nearest
from sandbox.sql.relation import Relation, Values
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.reader import Reader
from sandbox.sql.resolve.scope import Name, Scope, fold, scope_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a query is read: the catalogue, the CTEs in sight, how large all may grow, how to read."""

    catalogue: Catalogue
    ctes: dict[str, Relation]
    growth: Growth
    read: Callable[[exp.Expr, Place], Relation]

    def resolve(self, node: exp.Expr) -> Relation:
        """The relation of a query that stands here."""
        return self.read(node, self)


ONE_ROW = Values(((),), ())


def no_subquery(node: exp.Expr) -> Expr:
    """Subqueries have no place in a join condition."""
    raise refuse(Code.SUBQUERY, "ON (SELECT …)", "put it into WHERE", "请放入 WHERE")


def read_from(select: exp.Select, place: Place, where: list[exp.Expr]) -> tuple[Relation, Scope]:
    """The relation of FROM and its joins.

    Equalities between columns in ``where`` that tie a comma or cross join are taken out of the list
    and become the join's condition.
    """
    clause = select.args.get("from_")
    if clause is None:
        return ONE_ROW, Scope()
    joins = list(select.args.get("joins") or ())
    free = list(itertools.takewhile(_free, joins))
    relation, scope = _gathered([clause.this, *(j.this for j in free)], place, where)
    for node in joins[len(free) :]:
        relation, scope = _join(relation, scope, node, place, where)
    return relation, scope


def _free(node: exp.Join) -> bool:
    """Whether the join says nothing but "all pairs": a comma, or CROSS JOIN."""
    kind = str(node.args.get("kind") or "").upper()
    return kind in ("", "CROSS") and not any(node.args.get(k) for k in ("side", "on", "using"))


def _gathered(nodes: list[exp.Expr], place: Place, where: list[exp.Expr]) -> tuple[Relation, Scope]:
    """The sources of a comma list, joined one by one so that each is tied to those before where any is.

    In which order a list is written means nothing: protected sources come first, by their unit, and then
    public ones by whatever equality ties them.  Names keep the order of the text.
    """
    parts = [_source(node, place) for node in nodes]
    waiting = list(range(len(parts)))
    first = next((i for i in waiting if parts[i][0].privacy is not None), 0)
    waiting.remove(first)
    relation, offsets = parts[first][0], {first: 0}
    while waiting:
        scope = _placed(parts, offsets)
        ties = {i: _tie(relation, scope, parts[i], where) for i in waiting}
        chosen = min(waiting, key=lambda i: _order(relation, parts[i][0], ties[i]))
        waiting.remove(chosen)
        for _, node in ties[chosen]:
            where.remove(node)
        offsets[chosen] = len(relation.fields)
        on = conjunction(tuple(part for part, _ in ties[chosen]))
        relation = join("inner", relation, parts[chosen][0], on)
    return relation, _placed(parts, offsets)


def _placed(parts: list[tuple[Relation, Scope]], offsets: dict[int, int]) -> Scope:
    scope = Scope()
    for i in sorted(offsets):
        scope = scope.beside(parts[i][1].shifted(offsets[i]))
    return scope


Ties = list[tuple[Expr, exp.Expr]]
"""Equalities that tie two sources, each as read and as written."""


def _order(left: Relation, right: Relation, ties: Ties) -> int:
    if right.privacy is not None:
        on = conjunction(tuple(part for part, _ in ties))
        return 0 if unit_equality(left, right, on) else 3
    return 1 if ties else 2


def _tie(left: Relation, scope: Scope, right: tuple[Relation, Scope], where: list[exp.Expr]) -> Ties:
    width = len(left.fields)
    both = scope.beside(right[1].shifted(width))
    return _equalities(left, right[0], both, where)


def _source(node: exp.Expr, place: Place) -> tuple[Relation, Scope]:
    alias, renamed = _alias(node)
    match node:
        case exp.Table():
            return _table(node, place, alias, renamed)
        case exp.Values():
            return _values(node, alias, renamed)
        case exp.Subquery() if isinstance(node.this, exp.Query):
            relation = place.resolve(node)
            return relation, scope_of(relation, alias, renamed)
        case _:
            raise refuse(
                Code.CONSTRUCT,
                node.key.upper(),
                "name tables, subqueries or VALUES",
                "请使用表、子查询或 VALUES",
            )


def _alias(node: exp.Expr) -> tuple[str, list[str] | None]:
    alias = node.args.get("alias")
    if not isinstance(alias, exp.TableAlias):
        return "", None
    columns = [str(c.this) for c in alias.columns] or None
    return "" if alias.this is None else str(alias.this.this), columns


def _table(node: exp.Table, place: Place, alias: str, renamed: list[str] | None) -> tuple[Relation, Scope]:
    if not isinstance(node.this, exp.Identifier):
        raise refuse(Code.FUNCTION, f"{node.this.key}()".upper())
    name = str(node.this.this)
    database = node.args.get("db")
    known = place.ctes.get(fold(name)) if database is None else None
    if known is not None:
        return known, scope_of(known, alias or name, renamed)
    if renamed is not None:
        raise refuse(
            Code.CONSTRUCT, f"{name} AS {alias}(…)", "rename columns in a subquery", "请在子查询中重命名列"
        )
    table = find_table(
        place.catalogue, name, None if database is None else str(database.this), node.args.get("catalog")
    )
    relation = scan(table)
    return relation, scope_of(relation, alias or name)


def find_table(catalogue: Catalogue, name: str, dataset: str | None, catalog: object) -> Table:
    """The granted table of this name; unknown and not granted look the same."""
    found = () if catalog is not None else catalogue.find(name, dataset)
    if len(found) > 1:
        raise refuse(Code.AMBIGUOUS, name)
    if not found:
        subject = name if dataset is None else f"{dataset}.{name}"
        raise refuse(Code.UNKNOWN_TABLE, subject, *nearest(name, (t.name for t in catalogue.tables)))
    return found[0]


def _values(node: exp.Values, alias: str, renamed: list[str] | None) -> tuple[Relation, Scope]:
    reader = Reader(Columns(ONE_ROW, Scope(), {}), no_subquery)
    rows = []
    for entry in node.expressions:
        cells = (
            entry.expressions
            if isinstance(entry, exp.Tuple)
            else [entry.this if isinstance(entry, exp.Paren) else entry]
        )
        row = [reader.read(c) for c in cells]
        if not all(isinstance(v, Literal) for v in row):
            raise refuse(Code.CONSTRUCT, "VALUES", "use constants", "请使用常量")
        rows.append(tuple(v for v in row if isinstance(v, Literal)))
    relation = values(tuple(rows), [f"col{i}" for i in range(len(rows[0]))])
    return relation, scope_of(relation, alias, renamed)


def _join(
    left: Relation, scope: Scope, node: exp.Join, place: Place, where: list[exp.Expr]
) -> tuple[Relation, Scope]:
    right, right_scope = _source(node.this, place)
    side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
    shifted = right_scope.shifted(len(left.fields))
    using = [str(c.this) for c in node.args.get("using") or ()]
    both = scope.merging(using, shifted) if using else scope.beside(shifted)
    if kind in ("SEMI", "ANTI") and side in ("", "LEFT"):
        on = _condition(node, left, right, scope, shifted, both, using)
        return semi_join(left, right, on, anti=kind == "ANTI"), scope
    if kind not in ("", "INNER", "CROSS", "OUTER") or side not in ("", "LEFT", "RIGHT", "FULL"):
        raise refuse(
            Code.CONSTRUCT,
            f"{side} {kind} JOIN".strip(),
            "use INNER, LEFT, RIGHT, FULL or CROSS",
            "请使用 INNER、LEFT、RIGHT、FULL 或 CROSS",
        )
    on = _condition(node, left, right, scope, shifted, both, using)
    if not side:
        on = _tied(left, right, both, on, where)
        return join("inner", left, right, on), both
    if side == "RIGHT":
        return _right_join(left, right, on, scope, right_scope, using)
    return join("left" if side == "LEFT" else "full", left, right, on), both


def _condition(
    node: exp.Join,
    left: Relation,
    right: Relation,
    scope: Scope,
    shifted: Scope,
    both: Scope,
    using: list[str],
) -> Expr:
    if using:
        return conjunction(tuple(_using(name, scope, shifted) for name in using))
    on = node.args.get("on")
    if on is None:
        return TRUE
    qualified = Scope(tuple(Name(n.qualifier, n.name, n.index) for n in both.names))
    return Reader(Columns(_beside(left, right), qualified, {}), no_subquery).read(on)


def _using(name: str, scope: Scope, shifted: Scope) -> Expr:
    a, b = scope.find(name), shifted.find(name)
    if a is None or b is None:
        raise refuse(Code.UNKNOWN_COLUMN, name)
    return Call("eq", (Col(a), Col(b)))


def _beside(left: Relation, right: Relation) -> Relation:
    # Only ``fields`` is read from this: a join is built, and checked, with the condition in hand.
    return Values((), (*left.fields, *right.fields))


def _tied(left: Relation, right: Relation, both: Scope, on: Expr, where: list[exp.Expr]) -> Expr:
    """The condition with those equalities of WHERE that tie the two sides together."""
    if left.privacy is not None and right.privacy is not None and unit_equality(left, right, on):
        return on
    ties = _equalities(left, right, both, where)
    for _, node in ties:
        where.remove(node)
    return conjunction((*(p for p in conjuncts(on) if p != TRUE), *(part for part, _ in ties)))


def _equalities(left: Relation, right: Relation, both: Scope, where: list[exp.Expr]) -> Ties:
    """The equalities of ``where`` between a column of the left and one of the right."""
    width = len(left.fields)
    reader = Reader(Columns(_beside(left, right), both, {}), no_subquery)
    found: Ties = []
    for node in where:
        sides = (node.this, node.expression) if isinstance(node, exp.EQ) else ()
        if not sides or not all(isinstance(side, exp.Column) for side in sides):
            continue
        try:
            part = reader.read(node)
        except Refusal:
            continue
        match part:
            case Call("eq", (Col(a), Col(b))) if min(a, b) < width <= max(a, b):
                found.append((part, node))
    return found


def _right_join(
    left: Relation, right: Relation, on: Expr, scope: Scope, right_scope: Scope, using: list[str]
) -> tuple[Relation, Scope]:
    """A right join is a left join with the sides exchanged, and the columns put back in order."""
    width, other = len(left.fields), len(right.fields)
    swapped = _swap(on, width, other)
    relation = join("left", right, left, swapped)
    order = [*(other + n.index for n in scope.names), *(n.index for n in right_scope.names)]
    named = project(
        relation, [(n.name, Col(i)) for n, i in zip((*scope.names, *right_scope.names), order, strict=True)]
    )
    lefts = tuple(
        Name(n.qualifier, n.name, i, fold(n.name) in {fold(u) for u in using})
        for i, n in enumerate(scope.names)
    )
    rights = tuple(Name(n.qualifier, n.name, len(lefts) + i) for i, n in enumerate(right_scope.names))
    return named, Scope((*lefts, *rights))


def _swap(on: Expr, width: int, other: int) -> Expr:
    return remap(on, lambda i: i + other if i < width else i - width)
