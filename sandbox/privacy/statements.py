"""The SQL that a release runs over private rows: bounded, exact, and never leaving on its own.

Every text is built from our relation tree; see ``sql.compile``.  Columns of the result are ``k0 …``
(keys), ``n`` (units, under partition selection) and ``m0 …`` (measures, integers in scale units).

The bound (proofs in docs/soundness.md): a unit changes column ``m_j`` by a vector over groups whose
norm is at most the cap ``C_j`` (L1 for Laplace, L2 for Gaussian), and ``n`` by at most 1 in at most
``selection.groups`` groups.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.privacy.release import Bounding, Measure, Release, What
from sandbox.sql.compile import compile_expr, compile_relation, plain_zero
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import facts

SHRINK = 1 - 1e-12
"""Scaling stops this far short of the cap, so that rounding in binary64 cannot step over it."""

FINEST = 40
"""Norms are taken in steps of 2^-40 of the cap (at least 1): 2^45 squares add up exactly in 128 bits."""


def exact_sql(release: Release, caps: Sequence[int], *, laplace: bool) -> str:
    """The bounded sums of every group present in the data."""
    rows = _rows_sql(release)
    keys = _names("k", len(release.keys))
    if release.bounding is Bounding.PAIRS:
        return _pairs_sql(release, rows, caps, laplace=laplace)
    sums = [f"CAST(sum({_clip(f'm{j}', cap)}) AS HUGEINT) AS m{j}" for j, cap in enumerate(caps)]
    return _grouped(f"({_units_sql(release, rows)}) AS u", keys, [*_unit_count(release), *sums])


def norms_sql(release: Release, searched: Sequence[tuple[int, tuple[int, ...]]], *, laplace: bool) -> str:
    """Histograms of the units' norms: rows of (measure, bin, units), for the measures searched.

    Each unit falls in one bin of each measure: the smallest edge not below its norm.  Units that
    contribute nothing fall in none.
    """
    rows = _rows_sql(release)
    if release.bounding is Bounding.PAIRS:
        cells = f"c AS ({_cells_sql(release, rows, [m.upper for m in release.measures])})"
        norms = ", ".join(f"{_length(j, laplace=laplace)} AS n{j}" for j, _ in searched)
        source = f"WITH {cells}, s AS (SELECT u, {norms} FROM c GROUP BY u)"
    else:
        norms = ", ".join(f"abs(CAST(m{j} AS DOUBLE)) AS n{j}" for j, _ in searched)
        source = f"WITH u AS ({_units_sql(release, rows)}), s AS (SELECT {norms} FROM u)"
    parts = [
        f"SELECT {j} AS m, {_bin(f'n{j}', edges)} AS b, count(*) AS units FROM s WHERE n{j} > 0 GROUP BY b"
        for j, edges in searched
    ]
    return f"{source} {' UNION ALL '.join(parts)}"


def _rows_sql(release: Release) -> str:
    """One row per private row: the unit, the keys, and each measure's integer (0 where it does not count)."""
    privacy = release.input.privacy
    assert privacy is not None
    known = facts(release.input)
    columns = [f'"c{i}"' for i in range(len(known))]
    keys = [
        f"{plain_zero(compile_expr(k.expr, known, columns), k.facts.kind)} AS k{i}"
        for i, k in enumerate(release.keys)
    ]
    measures = [f"{_integer(release, m, columns)} AS m{j}" for j, m in enumerate(release.measures)]
    unit = f"{columns[privacy.unit]} AS u"
    return f"SELECT {', '.join([unit, *keys, *measures])} FROM ({compile_relation(release.input)}) AS i"


def _integer(release: Release, measure: Measure, columns: list[str]) -> str:
    known = facts(release.input)
    text = str(int(1 / measure.scale)) if measure.value is None else _fixed(release, measure, columns)
    if measure.where is None:
        return text
    return f"CASE WHEN {compile_expr(measure.where, known, columns)} THEN {text} ELSE 0 END"


def _fixed(release: Release, measure: Measure, columns: list[str]) -> str:
    """A value as an integer: clamped to its derived range, divided by the scale, NULL as 0.

    NaN sorts above every number here and is clamped to the upper bound, so it stays bounded too.
    """
    assert measure.value is not None
    known = facts(release.input)
    value = compile_expr(measure.value, known, columns)
    if facts_of(measure.value, known).kind.value == "integer":
        value = f"CAST({value} AS DOUBLE)"
    low, high = _double(float(measure.low)), _double(float(measure.high))
    clamped = f"least(greatest({value}, {low}), {high})"
    numerator, denominator = (
        _double(float(measure.scale.denominator)),
        _double(float(measure.scale.numerator)),
    )
    scaled = f"round({clamped} * {numerator} / {denominator})"
    return f"CASE WHEN {value} IS NULL THEN 0 ELSE CAST({scaled} AS BIGINT) END"


def _double(value: float) -> str:
    return f"CAST('{value!r}' AS DOUBLE)"


def _units_sql(release: Release, rows: str) -> str:
    """One row per unit, where a unit falls in one group; by its rows themselves where it has one."""
    if release.bounding is Bounding.ROW:
        return rows
    keys = [f"any_value(k{i}) AS k{i}" for i in range(len(release.keys))]
    measures = [f"{_total(m, j)} AS m{j}" for j, m in enumerate(release.measures)]
    return f"SELECT {', '.join(['u', *keys, *measures])} FROM ({rows}) AS r GROUP BY u"


def _total(measure: Measure, j: int) -> str:
    """A unit's total in a group, held within 64 bits."""
    if measure.what is What.UNITS:
        return f"max(m{j})"
    return _clip(f"sum(m{j})", 2**52)


def _cells_sql(release: Release, rows: str, most: Sequence[int]) -> str:
    """One row per unit and group, no total beyond ``most``: what is longer would be scaled down anyway."""
    keys = _names("k", len(release.keys))
    totals = [f"{_clip(_total(m, j), most[j])} AS m{j}" for j, m in enumerate(release.measures)]
    return f"SELECT {', '.join(['u', *keys, *totals])} FROM ({rows}) AS r GROUP BY {', '.join(['u', *keys])}"


def _length(j: int, *, laplace: bool) -> str:
    """A norm for the histogram, where any function of one unit's rows would do; doubles cannot overflow."""
    value = f"CAST(m{j} AS DOUBLE)"
    return f"sum(abs({value}))" if laplace else f"sqrt(sum({value} * {value}))"


def _step(cap: int) -> int:
    return max(cap >> FINEST, 1)


def _norm(j: int, cap: int, *, laplace: bool) -> str:
    """The exact sum of absolute values (L1) or squares (L2) of a unit's totals, in steps rounded up."""
    part = f"CAST((abs(m{j}) + {_step(cap) - 1}) // {_step(cap)} AS HUGEINT)"
    return f"sum({part})" if laplace else f"sum({part} * {part})"


def _pairs_sql(release: Release, rows: str, caps: Sequence[int], *, laplace: bool) -> str:
    keys = _names("k", len(release.keys))
    cells = f"c AS ({_cells_sql(release, rows, caps)})"
    norms = ", ".join([f"{_norm(j, cap, laplace=laplace)} AS n{j}" for j, cap in enumerate(caps)])
    shrunk = [_shrunk(j, cap, laplace=laplace) for j, cap in enumerate(caps)]
    sums = [f"CAST(sum({text}) AS HUGEINT) AS m{j}" for j, text in enumerate(shrunk)]
    scaled = f"s AS (SELECT {', '.join(['u', norms] if norms else ['u'])} FROM c GROUP BY u)"
    grouped = f"g AS ({_grouped('c JOIN s ON c.u = s.u', [f'c.{k}' for k in keys], sums, keys)})"
    if release.selection is None:
        return f"WITH {cells}, {scaled}, {grouped} SELECT * FROM g"
    counted = f"p AS ({_presence_sql(release, keys)})"
    same = " AND ".join(f"p.{k} IS NOT DISTINCT FROM g.{k}" for k in keys)
    shown = [f"p.{k} AS {k}" for k in keys] + ["p.n AS n"]
    shown += [f"coalesce(g.m{j}, 0) AS m{j}" for j in range(len(caps))]
    return (
        f"WITH {cells}, {scaled}, {grouped}, {counted} SELECT {', '.join(shown)} FROM p LEFT JOIN g ON {same}"
    )


def _shrunk(j: int, cap: int, *, laplace: bool) -> str:
    """A unit's total in one group, scaled so that its whole vector has at most norm ``cap``; toward zero.

    A vector within the cap stays as it is: that is decided on integers, so nothing is lost at the cap.
    """
    steps, norm = cap // _step(cap), f"CAST(s.n{j} AS DOUBLE)"
    within = steps if laplace else steps * steps
    factor = f"{_double(steps * SHRINK)} / {norm if laplace else f'sqrt({norm})'}"
    scaled = f"CAST(trunc(CAST(c.m{j} AS DOUBLE) * ({factor})) AS BIGINT)"
    return f"CASE WHEN s.n{j} <= {within} THEN c.m{j} ELSE {scaled} END"


def _presence_sql(release: Release, keys: list[str]) -> str:
    """Units per group, each unit counted in at most ``selection.groups`` groups chosen by a hash."""
    assert release.selection is not None
    shown = ", ".join(keys)
    ranked = f"SELECT {shown}, row_number() OVER (PARTITION BY u ORDER BY hash(u, {shown})) AS o FROM c"
    most = release.selection.groups
    return f"SELECT {shown}, count(*) AS n FROM ({ranked}) AS t WHERE o <= {most} GROUP BY {shown}"


def _unit_count(release: Release) -> list[str]:
    return [] if release.selection is None else ["count(*) AS n"]


def _grouped(source: str, keys: list[str], sums: list[str], labels: list[str] | None = None) -> str:
    shown = [f"{k} AS {label}" for k, label in zip(keys, labels or keys, strict=True)]
    outputs = ", ".join([*shown, *sums]) or "1"
    return f"SELECT {outputs} FROM {source}" + (f" GROUP BY {', '.join(keys)}" if keys else "")


def _clip(text: str, cap: int) -> str:
    return f"CAST(least(greatest({text}, {-cap}), {cap}) AS BIGINT)"


def _bin(text: str, edges: tuple[int, ...]) -> str:
    whens = " ".join(f"WHEN {text} <= {edge} THEN {i}" for i, edge in enumerate(edges[:-1]))
    return f"CASE {whens} ELSE {len(edges) - 1} END" if whens else "0"


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]
