"""The derivation of a plan, as a tree that a privacy engineer can check by hand, and what is promised."""

from __future__ import annotations

from fractions import Fraction

from sandbox.catalogue import Kind
from sandbox.model import Derivation, Words
from sandbox.policy.documents import DpGuard
from sandbox.privacy.accounting import Measure as Accounting
from sandbox.privacy.accounting import epsilon_for
from sandbox.privacy.days import spelled
from sandbox.privacy.faces import Face, Read, Zoom
from sandbox.privacy.mechanisms import Mechanism, Noise
from sandbox.privacy.plan import Plan, Priced, RollUp
from sandbox.privacy.release import Bounding, Key, Release, What
from sandbox.privacy.spend import (
    Spend,
    half_width,
    noise,
    search_noise,
    selection_noise,
    selection_threshold,
    spend,
)
from sandbox.privacy.tally import expected_cap, fine_bits
from sandbox.sql.expressions import Col
from sandbox.sql.relation import Filter, Join, Order, Project, Relation, Released, Scan, Window, walk

BOUND_WORDS = {
    Bounding.ROW: "a unit has one row (enforced at ingestion or by construction): clamp its value",
    Bounding.UNIT: "a unit is in one group (keys are functions of the unit): clamp its total",
    Bounding.PAIRS: "a unit's vector over groups is scaled down to the cap",
}


def derivation(plan: Plan, guard: DpGuard) -> Derivation:
    """From declared facts to sensitivities, mechanisms, noise scales and cost."""
    parts = (*(_release(p, plan.measure) for p in plan.priced), *map(_rolled_up, plan.rolled))
    name = "rho" if plan.measure is Accounting.ZCDP else "epsilon"
    facts = (
        ("epsilon", _number(plan.epsilon)),
        ("delta", f"{float(guard.delta):g}"),
        ("accounting", str(plan.measure)),
        (f"cost_{name}", ", ".join(f"{scope}: {cost.nano}e-9" for scope, cost in plan.accounts) or "0"),
    )
    return Derivation("query", facts, parts)


def _number(value: Fraction | float) -> str:
    return f"{float(value):.6g}"


def _release(priced: Priced, measure: Accounting) -> Derivation:
    release, parts = priced.release, spend(priced, measure)
    tables = ", ".join(dict.fromkeys(n.table.id for n in walk(release.input) if isinstance(n, Scan)))
    bound = Derivation(
        "bounding", (("form", str(release.bounding)), ("meaning", BOUND_WORDS[release.bounding]))
    )
    keys = tuple(_key(k, i) for i, k in enumerate(release.keys))
    chosen = () if release.selection is None else (_selection(priced, parts),)
    measures = tuple(_measure(release, parts, j) for j in range(len(release.measures)))
    facts = (("reads", tables), ("unit", release.unit_kind), ("nano", str(priced.nano)))
    said = () if release.face is None else (_said(release.face),)
    return Derivation(f"release r{release.number}", facts, (bound, *keys, *chosen, *measures, *said))


def _rolled_up(found: RollUp) -> Derivation:
    """A grouping that is not released: what it is made of."""
    keys = ", ".join(found.keys) or "none: the total"
    why = "predicts less error than a release of its own, for which all others would get less"
    return Derivation("roll-up", (("of", f"r{found.of}"), ("by", keys), ("nano", "0"), ("why", why)))


def _said(face: Face) -> Derivation:
    """What is read from a histogram, at no further cost."""
    grid = face.grid
    low, high = (_value(bound, face.points[0].kind) for bound in (grid.low, grid.high))
    cells = f"{grid.cells} of [{low}, {high}]"
    facts = [("cells", f"{cells}, one for each value" if grid.single else cells)]
    for point in face.points:
        share = "minimum" if point.share == 0 else "maximum"
        said = f"{share}: the value from where on counts stand out of the noise; few rows lie beyond it"
        facts.append(("reads", said if point.extreme else f"quantile {_number(point.share)}"))
    if isinstance(face, Zoom):
        facts.append(("next", "a second release looks into the cells in which each of these may lie"))
    return Derivation("histogram", tuple(facts))


def _value(value: Fraction, kind: Kind) -> str:
    return spelled(value, kind) if kind.temporal else _number(value)


def _key(key: Key, index: int) -> Derivation:
    size = "unknown: keys are selected" if key.domain is None else f"{len(key.domain)} declared values"
    return Derivation("key", (("name", key.name or f"key {index + 1}"), ("domain", size)))


def _selection(priced: Priced, parts: Spend) -> Derivation:
    release = priced.release
    assert release.selection is not None
    mechanism = selection_noise(parts, release)
    facts = (
        ("rule", "a key appears if its noisy unit count is strictly above the threshold"),
        ("groups_per_unit", str(release.selection.groups)),
        ("threshold", str(selection_threshold(parts, priced))),
        ("delta", f"{float(priced.delta):.3g}"),
        ("nano", str(parts.selection)),
    )
    return Derivation("selection", facts, (_mechanism(mechanism, Fraction(1)),))


def _measure(release: Release, parts: Spend, j: int) -> Derivation:
    measure = release.measures[j]
    facts: list[tuple[str, str]] = [
        ("column", f"m{j}"),
        ("adds", str(measure.what)),
        ("scale", _number(measure.scale)),
    ]
    if measure.what is What.DISTINCT:
        facts.append(("of", "a unit's distinct pairs of group and value: at most cap, by a hash of its rows"))
    if measure.what is What.SUM:
        facts.append(("row_range", f"[{_number(measure.low)}, {_number(measure.high)}]"))
    if j == parts.shared:
        return Derivation("measure", (*facts, ("drawn", "with the selection: one draw for both")))
    facts.append(("nano", str(parts.columns[j].noise)))
    return Derivation("measure", tuple(facts), _cap(release, parts, j))


def _cap(release: Release, parts: Spend, j: int) -> tuple[Derivation, ...]:
    measure = release.measures[j]
    most = expected_cap(measure)
    mechanism = noise(release, parts, j, most)
    step = measure.scale / (1 << fine_bits(release, most))
    steps = f"{most} steps = {_number(most * measure.scale)}"
    if not measure.search:
        cap = Derivation("cap", (("from", "declared rows and ranges"), ("value", steps)))
        return (cap, _mechanism(mechanism, step))
    search = search_noise(parts, j)
    facts = (
        ("from", "found privately: noisy histogram of the units' norms"),
        ("declared_at_most", steps),
        ("sensitivity", "1 (a unit is in one bin)"),
        ("nano", str(parts.columns[j].search)),
    )
    cap = Derivation("cap", facts, (_mechanism(search, Fraction(1)),))
    far = parts.columns[j].far
    second = () if not far else (_second(release, parts, j, step),)
    return (
        cap,
        *second,
        Derivation(
            "noise at the declared cap; less at a smaller one, more only if data exceed what is declared",
            (),
            (_mechanism(mechanism, step),),
        ),
    )


def _second(release: Release, parts: Spend, j: int, step: Fraction) -> Derivation:
    """The draw at a cap that suits the largest cells."""
    mechanism = noise(release, parts, j, expected_cap(release.measures[j]), far=True)
    facts = (("for", "the largest cells: little clipping"), ("nano", str(parts.columns[j].far)))
    return Derivation("second draw", facts, (_mechanism(mechanism, step),))


def _mechanism(mechanism: Mechanism, scale: Fraction) -> Derivation:
    norm = "L2" if mechanism.noise is Noise.GAUSSIAN else "L1"
    facts = (
        ("noise", f"discrete {mechanism.noise}"),
        (f"{norm}_sensitivity_squared", str(mechanism.sensitivity_squared)),
        ("noise_scale", _number(mechanism.scale)),
        ("half_width_95", _number(mechanism.half_width() * float(scale))),
    )
    return Derivation("mechanism", facts)


def predicted(plan: Plan, index: int) -> str:
    """The predicted half-width of an output column, as text; "" if it depends on what is released."""
    source = measured(plan, index)
    if source is None:
        return ""
    number, j = source
    width = predicted_width(plan.priced[number], plan.measure, j)
    searched = plan.priced[number].release.measures[j].search
    return f"≤ ±{_number(width)}" if searched else f"±{_number(width)}"


def predicted_width(priced: Priced, measure: Accounting, j: int) -> float:
    """The half-width of measure ``j``, if what is declared holds; from public facts alone."""
    parts, release = spend(priced, measure), priced.release
    if j == parts.shared:
        return selection_noise(parts, release).half_width()
    return half_width(release, parts, j, expected_cap(release.measures[j])) * float(release.measures[j].scale)


def measured(plan: Plan, index: int) -> tuple[int, int] | None:
    """Which measure of which release an output column of the plan is, if it is one as it stands."""
    found = origin(plan.post, index)
    return None if found is None or plan.priced[found[0]].release.face is not None else found


def origin(relation: Relation, index: int) -> tuple[int, int] | None:
    """Which measure of which release an output column is, if it is one as it stands."""
    match relation:
        case Released(number, fields):
            count = sum(1 for f in fields if f.hidden)
            position = index - (len(fields) - 2 * count)
            return (number, position) if 0 <= position < count else None
        case Project():
            expr = relation.exprs[index]
            return origin(relation.input, expr.index) if isinstance(expr, Col) else None
        case Filter() | Order():
            return origin(relation.input, index)
        case Window() if index < len(relation.input.fields):
            return origin(relation.input, index)
        case Join() if relation.kind == "left" and index < len(relation.left.fields):
            return origin(relation.left, index)
        case _:
            return None


def guarantee(plan: Plan, guard: DpGuard) -> tuple[Words, ...]:
    """What a DP answer promises, and what it does not."""
    if not plan.priced:
        return PUBLIC
    kinds = "、".join(dict.fromkeys(p.release.unit_kind for p in plan.priced))
    delta = f"{float(guard.delta):g}"
    cost = max(c.nano for _, c in plan.accounts)
    reported = _number(plan.epsilon)
    if plan.measure is Accounting.ZCDP:
        reported = f"{epsilon_for(Fraction(cost, 10**9), guard.delta / 2):.3g}"
    return (
        Words(
            f"差分隐私：任何一个{kinds}的全部记录在与不在，"
            f"对本答案的影响至多为 (ε={reported}, δ={delta})，费用计入预算。",
            f"Differential privacy: all rows of any one {kinds}, present or not, change this answer's "
            f"distribution by at most (epsilon={reported}, delta={delta}); the budget is charged.",
        ),
        Words(
            "区间为 95%，含噪声与截断的估计；不保护整个群体共有的事实，也不保护他人已从别处得知的事实。",
            "Intervals are 95 % and cover noise and estimated clipping; not protected: facts shared by a "
            "whole group, or known from elsewhere.",
        ),
        *(EXTREMES if _has_extremes(plan) else ()),
    )


def _has_extremes(plan: Plan) -> bool:
    faces = (p.release.face for p in plan.priced)
    return any(point.extreme for face in faces if isinstance(face, Read) for point in face.points)


EXTREMES = (
    Words(
        "最小值与最大值为极端分位数：取计数高于噪声之处，之外可能仍有少数记录，故不给出区间。",
        "Minima and maxima are extreme quantiles: the value from where on counts stand out of the noise. "
        "A few rows may lie beyond, so no interval is stated.",
    ),
)

PUBLIC = (
    Words(
        "公开数据：不含受保护的记录，不计费用。",
        "Public data: no protected rows were read; nothing is charged.",
    ),
)

EXACT = (
    Words(
        "网格精确值：本快照内任何答案的组合都不会隔离少于规定数量的主体，也不会把某一贡献者估计到 p% 以内。",
        "Exact over the published grid: no combination of answers within one snapshot isolates fewer than "
        "the required units or estimates a contributor within p %.",
    ),
    Words(
        "不保护：知道同一格内其他所有主体的人、跨快照的比较、整格共有的事实。被隐去的单元不计入任何合计。",
        "Not protected: against someone who knows all others in a cell, comparison across snapshots, facts "
        "shared by a whole cell. Withheld cells are in no total.",
    ),
)
