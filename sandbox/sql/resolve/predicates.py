"""WHERE: plain conditions become filters; IN, EXISTS and their negations become semi-joins.

Elsewhere these are values: whether a count of the rows that they find is above zero.
"""

from __future__ import annotations

from sqlglot import exp

from sandbox.catalogue import Kind
from sandbox.errors import Code, Refusal, refuse
from sandbox.sql.build import aggregate, filter_, join, semi_join
from sandbox.sql.expressions import TRUE, Agg, Call, Col, Expr, Literal, conjunction, conjuncts
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import Aggregate, Project, Relation, Scan, Values, facts, visible, walk
from sandbox.sql.relation import releases as releases_of
from sandbox.sql.resolve.columns import Columns
from sandbox.sql.resolve.correlated import Asked, attach, is_own
from sandbox.sql.resolve.layers import LayerReader, nodes_in, subqueries_in
from sandbox.sql.resolve.reader import Reader
from sandbox.sql.resolve.scope import Scope
from sandbox.sql.resolve.tables import Place, no_subquery, read_from


def split(node: exp.Expr | None) -> list[exp.Expr]:
    """The parts of a condition joined by AND."""
    if node is None:
        return []
    if isinstance(node, exp.Where | exp.Paren):
        return split(node.this)
    if isinstance(node, exp.And):
        return [*split(node.this), *split(node.expression)]
    if isinstance(node, exp.Or):
        return _factored(node)
    return [node]


def _factored(node: exp.Or) -> list[exp.Expr]:
    """``(a AND b) OR (a AND c)`` as ``a`` and ``b OR c``: the same, also where something is NULL."""
    branches = [split(branch) for branch in _alternatives(node)]
    common = [part for part in branches[0] if all(part in branch for branch in branches[1:])]
    if not common:
        return [node]
    rests = [[part for part in branch if part not in common] for branch in branches]
    if not all(rests):
        return common  # one alternative asks for no more: the others are part of it
    return [*common, exp.or_(*(exp.and_(*rest, copy=False) for rest in rests), copy=False)]


def _alternatives(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Paren):
        return _alternatives(node.this)
    if isinstance(node, exp.Or):
        return [*_alternatives(node.this), *_alternatives(node.expression)]
    return [node]


def apply_where(
    relation: Relation, scope: Scope, parts: list[exp.Expr], place: Place, aliases: dict[str, exp.Expr]
) -> Relation:
    """The rows of ``relation`` for which every part holds.  The scope stays valid."""
    tests = [_subquery_test(p) for p in parts]
    others = [p for p, test in zip(parts, tests, strict=True) if test is None]
    plain = [p for p in others if not nodes_in([p], (exp.Query,))]
    # Conditions commute: those that need no subquery first, so that one is asked about the rows that remain.
    relation = _kept(relation, plain, LayerReader(Columns(relation, scope, aliases), {}))
    for test in tests:
        if test is not None:
            relation = _semi(relation, scope, test[0], place, anti=test[1])
    compared = [p for p in others if p not in plain]
    relation, known = attach_scalars(relation, compared, place, scope, comparing=True)
    return _kept(relation, compared, LayerReader(Columns(relation, scope, aliases), known))


def _kept(relation: Relation, parts: list[exp.Expr], reader: Reader) -> Relation:
    tests = (test for part in parts for test in conjuncts(reader.read(part)) if test != TRUE)
    return filter_(relation, conjunction(tuple(tests)))


def _subquery_test(node: exp.Expr) -> tuple[exp.Expr, bool] | None:
    anti = False
    while isinstance(node, exp.Not | exp.Paren):
        anti ^= isinstance(node, exp.Not)
        node = node.this
    if isinstance(node, exp.Exists) or (isinstance(node, exp.In) and node.args.get("query") is not None):
        return node, anti
    return None


def _semi(relation: Relation, scope: Scope, node: exp.Expr, place: Place, *, anti: bool) -> Relation:
    if isinstance(node, exp.Exists):
        return _exists(relation, scope, node, place, anti=anti)
    right = place.resolve(node.args["query"])
    shown = visible(right)
    if len(shown) != 1:
        raise one_column()
    subject = Reader(Columns(relation, scope, {}), no_subquery).read(node.this)
    on = Call("eq", (subject, Col(len(relation.fields) + shown[0])))
    if anti and (facts_of(subject, facts(relation)).nullable or right.fields[shown[0]].facts.nullable):
        raise refuse(
            Code.SUBQUERY,
            "NOT IN (SELECT …)",
            "NULLs make NOT IN surprising; use NOT EXISTS",
            "含 NULL 时 NOT IN 结果难料，请使用 NOT EXISTS",
        )
    return semi_join(relation, right, on, anti=anti)


def _exists(relation: Relation, scope: Scope, node: exp.Exists, place: Place, *, anti: bool) -> Relation:
    inner = _plain(node)
    parts = split(inner.args.get("where"))
    right, right_scope = read_from(inner, place, parts)
    own, correlated = _correlation(parts, right, right_scope)
    right = apply_where(right, right_scope, own, place, {})
    both = right_scope.shifted(len(relation.fields))
    on = tuple(_outer(part, relation, right, scope, both) for part in correlated)
    return semi_join(relation, right, conjunction(on) if on else TRUE, anti=anti)


def _plain(node: exp.Expr) -> exp.Select:
    """The SELECT of an EXISTS, of which only FROM and WHERE matter."""
    inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    plain = isinstance(inner, exp.Select) and not any(
        inner.args.get(k) for k in ("group", "having", "qualify", "distinct", "limit", "offset", "with_")
    )
    if not plain:
        raise refuse(
            Code.SUBQUERY,
            "EXISTS",
            "write EXISTS (SELECT 1 FROM … WHERE …)",
            "请写作 EXISTS (SELECT 1 FROM … WHERE …)",
        )
    assert isinstance(inner, exp.Select)
    return inner


def _correlation(
    parts: list[exp.Expr], right: Relation, scope: Scope
) -> tuple[list[exp.Expr], list[exp.Expr]]:
    own: list[exp.Expr] = []
    correlated: list[exp.Expr] = []
    for part in parts:
        names = list(part.find_all(exp.Column))
        inside = all(is_own(c, scope) for c in names) or _subquery_test(part) is not None
        (own if inside else correlated).append(part)
    return own, correlated


def _outer(part: exp.Expr, left: Relation, right: Relation, scope: Scope, shifted: Scope) -> Expr:
    # An inner name hides an outer one: look inside first, then outside.
    beside = Values((), (*left.fields, *right.fields))
    return _Correlated(Columns(beside, shifted, {}), Columns(beside, scope, {})).read(part)


class _Correlated(Reader):
    """Reads a condition whose names may be the subquery's or the enclosing query's."""

    def __init__(self, inner: Columns, outer: Columns) -> None:
        super().__init__(inner, no_subquery)
        self.outer = outer

    def column(self, node: exp.Column) -> Expr:
        try:
            found = self.columns.find(node)
        except Refusal as unknown:
            if unknown.code is not Code.UNKNOWN_COLUMN:
                raise
            found = self.outer.find(node)
        assert not isinstance(found, exp.Expr)
        return found


def one_column() -> Refusal:
    """Why the subquery of IN is refused."""
    return refuse(Code.SUBQUERY, "IN (SELECT …)", "select one column", "请只选择一列")


COUNTED = exp.Count(this=exp.Star())
HIDDEN = "\0"
"""A column's name that no text can spell."""


def attach_scalars(
    relation: Relation,
    roots: list[exp.Expr],
    place: Place,
    scope: Scope | None = None,
    *,
    comparing: bool = False,
) -> tuple[Relation, dict[exp.Expr, Expr]]:
    """Join each scalar subquery's values beside the relation; say what its value is over both.

    ``scope``: the names that a subquery may mention of the relation.  ``comparing``: in a condition.
    """
    tests, scalars = subqueries_in(roots)
    relation, known = (relation, {}) if scope is None else attach_tests(relation, scope, tests, place)
    for node in scalars:
        asked = None if scope is None else _asked(node, place)
        if asked is not None and scope is not None:
            wider, value = attach(relation, scope, asked)
            _not_beside(relation, wider, comparing=comparing)
            relation, known[node] = wider, value
        else:
            relation, known[node] = _one_value(relation, node, place)
    return relation, known


def attach_tests(
    relation: Relation, scope: Scope, tests: list[exp.Expr], place: Place
) -> tuple[Relation, dict[exp.Expr, Expr]]:
    """Join beside the relation how many rows each EXISTS or IN finds: it is true where there are any."""
    known: dict[exp.Expr, Expr] = {}
    for node in tests:
        inner = _as_exists(relation, scope, node, place) if isinstance(node, exp.In) else _plain(node)
        parts = split(inner.args.get("where"))
        right, right_scope = read_from(inner, place, parts)
        own, correlated = _correlation(parts, right, right_scope)
        right = apply_where(right, right_scope, own, place, {})
        if correlated:
            asked = Asked(exp.Select(expressions=[COUNTED.copy()]), right, right_scope, tuple(correlated))
            wider, count = attach(relation, scope, asked)
        else:
            every = aggregate(right, [], [("", Agg("count_star"))])
            wider, count = join("inner", relation, every, TRUE), Col(len(relation.fields))
        if set(releases_of(wider)) - {*releases_of(relation), *releases_of(right)}:
            # Whether protected rows are there is no released number: refused as it is in a condition.
            semi_join(relation, right, TRUE, anti=False)
        relation, known[node] = wider, Call("gt", (count, Literal(0, Kind.INTEGER)))
    return relation, known


def _as_exists(relation: Relation, scope: Scope, node: exp.In, place: Place) -> exp.Select:
    """``x IN (SELECT y …)`` as ``EXISTS (SELECT 1 FROM (SELECT y …) WHERE y = x)``: the same without NULL."""
    query = node.args["query"].this
    right = place.resolve(query)
    shown = visible(right)
    if len(shown) != 1:
        raise one_column()
    subject = Reader(Columns(relation, scope, {}), no_subquery).read(node.this)
    if facts_of(subject, facts(relation)).nullable or right.fields[shown[0]].facts.nullable:
        raise refuse(
            Code.SUBQUERY,
            "IN (SELECT …)",
            "with NULL neither true nor false: use EXISTS (SELECT 1 FROM … WHERE inner = outer) as the value",
            "含 NULL 时既非真也非假，请以 EXISTS (SELECT 1 FROM … WHERE 内层 = 外层) 作为值",
        )
    name = exp.Identifier(this=HIDDEN, quoted=True)
    alias = exp.TableAlias(this=name.copy(), columns=[name.copy()])
    return exp.Select(
        expressions=[exp.Literal.number(1)],
        from_=exp.From(this=exp.Subquery(this=query.copy(), alias=alias)),
        where=exp.Where(this=exp.EQ(this=exp.Column(this=name), expression=node.this.copy())),
    )


def _asked(node: exp.Expr, place: Place) -> Asked | None:
    """The subquery, if some of its conditions mention the enclosing query."""
    select = node.this if isinstance(node, exp.Subquery) else node
    if not isinstance(select, exp.Select) or select.args.get("with_") is not None:
        return None
    parts = split(select.args.get("where"))
    right, scope = read_from(select, place, parts)
    own, correlated = _correlation(parts, right, scope)
    if not correlated:
        return None
    return Asked(select, apply_where(right, scope, own, place, {}), scope, tuple(correlated))


def _one_value(relation: Relation, node: exp.Expr, place: Place) -> tuple[Relation, Expr]:
    value = place.resolve(node)
    shown = visible(value)
    if len(shown) != 1 or not one_row(value):
        raise refuse(
            Code.SUBQUERY,
            "(SELECT …)",
            "a subquery used as a value aggregates to one row and one column",
            "作为值的子查询须聚合为一行一列",
        )
    _not_beside(relation, value, comparing=False)
    return join("inner", relation, value, TRUE), Col(len(relation.fields) + shown[0])


def _not_beside(relation: Relation, value: Relation, *, comparing: bool) -> None:
    """Public rows stand beside protected values by an explicit join only, or compared by their own key."""
    if releases_of(value) and not reads_protected(relation) and not comparing:
        raise refuse(
            Code.SUBQUERY,
            "(SELECT …)",
            "a protected value beside public rows: name it in a CTE and select from it",
            "受保护的值不能与公开记录并列，请用 CTE 命名后查询",
        )


def one_row(relation: Relation) -> bool:
    """Whether the relation always has exactly one row."""
    if isinstance(relation, Project):
        return one_row(relation.input)
    return isinstance(relation, Aggregate) and not relation.keys and relation.privacy is None


def reads_protected(relation: Relation) -> bool:
    """Whether some protected table is read, released or not."""
    return any(isinstance(n, Scan) and n.privacy is not None for n in walk(relation))
