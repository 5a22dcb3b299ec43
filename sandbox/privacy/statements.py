"""The SQL that a release runs over private rows: bounded, exact, and never leaving on its own.

One statement reads the rows once and groups them by unit once.  It does not know the caps yet, which are
chosen from its histograms: for each group and each bin of norms it says what the units bring as they are
(``x``) and what they bring once their vectors are scaled to length one (``y``), so that the sums bounded at
any cap follow by arithmetic (``tally``).  Every text is built from our relation tree; see ``sql.compile``.

Rows of the result, told apart by ``p``; ``k0 ...`` are the keys, NULL where the row is not about a group:

    p = 0        z: units present in the group, each counted in at most ``selection.groups`` groups
    p = j + 1    measure j of the group, from units whose norm is in bin ``b``: x and y; z: units in the bin,
                 or, where a unit may fall in several groups, present (``presence_measure``)
    p = -j - 1   z: units whose norm of measure j is in bin ``b`` (where not said by the rows above)

The bound (proofs in docs/soundness.md): for every cap C, a unit changes column j by a vector over groups
whose norm is at most C (L1 for Laplace, L2 for Gaussian), and ``p = 0`` by at most 1 in at most
``selection.groups`` groups.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.privacy.bins import bin_sql
from sandbox.privacy.condensed import condensed
from sandbox.privacy.distinct import distinct_sql
from sandbox.privacy.release import Bounding, Measure, Release, What
from sandbox.sql.compile import compile_expr, compile_relation, plain_zero
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import facts

SHRINK = 1 - 1e-12
"""Directions stop this far short of length one, so that rounding in binary64 cannot step over it."""

UNIT_LENGTH = 16
"""Directions are in steps of 2^-16 of length one."""

FINEST = 39
"""Norms are taken in steps of 2^-39 of the largest (at least 1): 2^45 squares add up exactly in 128 bits."""

LARGEST_UNIT = 2**52
"""No unit's total in one group counts for more."""

LARGEST_SUM = 2**62
"""Sums are clamped here, within 64 bits; clamping a sum cannot raise its sensitivity."""


def tally_sql(release: Release, *, laplace: bool) -> str:
    """The statement described above."""
    counted = distinct_sql(release)
    if counted is not None:
        return counted
    rows = _rows_sql(release)
    if release.bounding is Bounding.PAIRS:
        return _pairs_sql(release, rows, laplace=laplace)
    source = f"u AS ({condensed(release) or _units_sql(release, rows)})"
    count = len(release.measures)
    searched = [j for j in range(count) if release.measures[j].search]
    clipped = [j for j in range(count) if not release.measures[j].search]
    parts = [_binned(release, j, "u", f"m{j}", f"sign(m{j})", _bin(release, j)) for j in searched]
    ctes = [source]
    if clipped or release.selection is not None or not searched:
        ctes.append(f"g AS ({_grouped_sql(release, clipped)})")
        parts += [_row(release, j + 1, f"m{j}") for j in clipped]
        parts += [_row(release, 0, "0", "n")] if release.selection is not None else []
    return _union(release, ctes, parts)


def _grouped_sql(release: Release, clipped: Sequence[int]) -> str:
    """The measures of fixed cap, and the units, of every group."""
    sums = [f"coalesce(sum({_clip(f'm{j}', release.measures[j].upper)}), 0) AS m{j}" for j in clipped]
    keys = _names("k", len(release.keys))
    return f"SELECT {', '.join([*keys, 'count(*) AS n', *sums])} FROM u{_by(keys)}"


def _rows_sql(release: Release) -> str:
    """One row per private row: the unit, the keys, each sum's integer ``m`` and each condition ``w``."""
    privacy = release.input.privacy
    assert privacy is not None
    known = facts(release.input)
    columns = [f'"c{i}"' for i in range(len(known))]
    shown = [f"{columns[privacy.unit]} AS u"]
    for i, key in enumerate(release.keys):
        shown.append(f"{plain_zero(compile_expr(key.expr, known, columns), key.facts.kind)} AS k{i}")
    for j, measure in enumerate(release.measures):
        if measure.what is What.SUM:
            shown.append(f"{_fixed(release, measure, columns)} AS m{j}")
        if measure.where is not None:
            shown.append(f"{compile_expr(measure.where, known, columns)} AS w{j}")
    return f"SELECT {', '.join(shown)} FROM ({compile_relation(release.input)}) AS i"


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
    keys = _names("k", len(release.keys))
    if release.bounding is Bounding.ROW:
        shown = [*keys, *(f"{_single(m, j)} AS m{j}" for j, m in enumerate(release.measures))]
        return f"SELECT {', '.join(shown) or '1'} FROM ({rows}) AS r"
    shown = [f"any_value({k}) AS {k}" for k in keys]
    shown += [f"{_total(m, j)} AS m{j}" for j, m in enumerate(release.measures)]
    return f"SELECT {', '.join(shown) or '1'} FROM ({rows}) AS r GROUP BY u"


def _single(measure: Measure, j: int) -> str:
    """A unit's only row."""
    value = f"m{j}" if measure.what is What.SUM else "1"
    return value if measure.where is None else f"CASE WHEN w{j} THEN {value} ELSE 0 END"


def _total(measure: Measure, j: int) -> str:
    """A unit's total in a group, held within 64 bits."""
    kept = "" if measure.where is None else f" FILTER (WHERE w{j})"
    if measure.what is What.ROWS:
        return f"count(*){kept}"
    if measure.what is What.UNITS:
        return f"CASE WHEN count(*){kept} > 0 THEN 1 ELSE 0 END" if kept else "1"
    return _clip(f"coalesce(sum(m{j}){kept}, 0)", LARGEST_UNIT)


def _bin(release: Release, j: int) -> str:
    return bin_sql(f"abs(m{j})", str(release.measures[j].upper), power=1, step_bits=0)


def _pairs_sql(release: Release, rows: str, *, laplace: bool) -> str:
    """Where a unit may fall in several groups: its totals ``c``, and the norms ``s`` of its vectors."""
    keys, count = _names("k", len(release.keys)), len(release.measures)
    # Twice ``upper`` is beyond it as well, and its square does not overflow.
    totals = [f"{_clip(_total(m, j), 2 * m.upper)} AS m{j}" for j, m in enumerate(release.measures)]
    cells = f"SELECT {', '.join(['u', *keys, *totals])} FROM ({rows}) AS r GROUP BY {', '.join(['u', *keys])}"
    norms = [f"{_norm(release.measures[j], j, laplace=laplace)} AS n{j}" for j in range(count)]
    present = ["count(*) AS groups"] if release.selection is not None else []
    ctes = [
        f"c AS ({cells})",
        f"s AS (SELECT {', '.join(['u', *norms, *present])} FROM c GROUP BY u)",
    ]
    joined, parts = "c JOIN s ON c.u = s.u", []
    for j, measure in enumerate(release.measures):
        place, turned = _pairs_bin(measure, j, laplace=laplace), _direction(measure, j, laplace=laplace)
        units = "0" if j != presence_measure(release) else _few(release)
        parts.append(_binned(release, j, joined, f"c.m{j}", turned, place, units))
        if measure.search:
            nothing = ", ".join(["NULL"] * len(keys) + [f"{place} AS b", "0", "0", "count(*)"])
            parts.append(f"SELECT {-j - 1}, {nothing} FROM s WHERE n{j} > 0 GROUP BY b")
    if release.selection is not None:
        parts.append(_presence_sql(release, joined))
    return _union(release, ctes, parts)


def step_bits(measure: Measure) -> int:
    """Norms of a vector over groups are summed in steps of 2 to the power of this."""
    return max(measure.upper.bit_length() - FINEST, 0)


def _norm(measure: Measure, j: int, *, laplace: bool) -> str:
    """The exact sum of absolute values (L1) or squares (L2) of a unit's totals, in steps rounded up."""
    step = 1 << step_bits(measure)
    part = f"abs(m{j})" if step == 1 else f"((abs(m{j}) + {step - 1}) // {step})"
    part = f"CAST({part} AS HUGEINT)"
    return f"sum({part})" if laplace else f"sum({part} * {part})"


def _pairs_bin(measure: Measure, j: int, *, laplace: bool) -> str:
    most = measure.upper >> step_bits(measure)
    upper, power = (most, 1) if laplace else (most * most, 2)
    return bin_sql(f"s.n{j}", str(upper), power=power, step_bits=step_bits(measure))


def _direction(measure: Measure, j: int, *, laplace: bool) -> str:
    """A unit's total in one group over the norm of its vector, in steps of 2^-16 toward zero."""
    norm = f"CAST(s.n{j} AS DOUBLE)" if laplace else f"sqrt(CAST(s.n{j} AS DOUBLE))"
    factor = (1 << UNIT_LENGTH) * SHRINK / (1 << step_bits(measure))
    return f"CAST(trunc(CAST(c.m{j} AS DOUBLE) * {_double(factor)} / {norm}) AS BIGINT)"


def presence_measure(release: Release) -> int | None:
    """The measure that is not 0 wherever a unit is: its rows count the units in few groups, too."""
    if release.selection is None or release.bounding is not Bounding.PAIRS:
        return None
    plain = (
        j for j, m in enumerate(release.measures) if m.what in (What.ROWS, What.UNITS) and m.where is None
    )
    return next(plain, None)


def _few(release: Release) -> str:
    """How many units are in so few groups that each of these counts."""
    assert release.selection is not None
    return f"count(*) FILTER (WHERE s.groups <= {release.selection.groups})"


def _presence_sql(release: Release, joined: str) -> str:
    """Units per group, each unit counted in at most ``selection.groups`` groups chosen by a hash.

    Only units in more groups need the choice; the others are counted in passing, where there is a measure
    in whose rows they can be.
    """
    assert release.selection is not None
    keys, most = _names("k", len(release.keys)), release.selection.groups
    own = ", ".join(f"c.{k} AS {k}" for k in keys)
    order = ", ".join(["c.u", *(f"c.{k}" for k in keys)])
    rank = f"row_number() OVER (PARTITION BY c.u ORDER BY hash({order})) AS o"
    many = f"SELECT {own}, {rank} FROM {joined} WHERE s.groups > {most}"
    chosen = f"SELECT {', '.join(keys)} FROM ({many}) AS t WHERE o <= {most}"
    if presence_measure(release) is None:
        chosen = f"SELECT {own} FROM {joined} WHERE s.groups <= {most} UNION ALL {chosen}"
    return f"SELECT 0, {', '.join(keys)}, 0, 0, 0, count(*) FROM ({chosen}) AS t{_by(keys)}"


def _binned(release: Release, j: int, source: str, x: str, y: str, place: str, z: str = "count(*)") -> str:
    """The rows of measure ``j``; units and groups to which it adds nothing are left out."""
    keys = _names("k", len(release.keys))
    shown = [f"{j + 1} AS p", *keys, f"{place} AS b", f"{_sum(x)} AS x", f"{_sum(y)} AS y", f"{z} AS z"]
    return f"SELECT {', '.join(shown)} FROM {source} WHERE {x} <> 0{_by([*keys, 'b'])}"


def _row(release: Release, part: int, x: str, z: str = "0") -> str:
    keys = _names("k", len(release.keys))
    held = f"CAST(least(greatest({x}, {-LARGEST_SUM}), {LARGEST_SUM}) AS BIGINT) AS x"
    return f"SELECT {', '.join([f'{part} AS p', *keys, '0 AS b', held, '0 AS y', f'{z} AS z'])} FROM g"


def _sum(text: str) -> str:
    return f"CAST(least(greatest(sum({text}), {-LARGEST_SUM}), {LARGEST_SUM}) AS BIGINT)"


def _union(release: Release, ctes: Sequence[str], parts: Sequence[str]) -> str:
    if not parts:  # nothing is asked but which groups there are, and those are declared
        keys = ", ".join(f"NULL AS {k}" for k in [*_names("k", len(release.keys)), "b", "x", "y", "z"])
        return f"SELECT 0 AS p, {keys} WHERE false"
    labels = ["p", *_names("k", len(release.keys)), "b", "x", "y", "z"]
    return f"WITH {', '.join(ctes)} {_labelled(parts[0], labels)}" + "".join(
        f" UNION ALL {p}" for p in parts[1:]
    )


def _labelled(part: str, labels: Sequence[str]) -> str:
    return f"SELECT * FROM ({part}) AS t({', '.join(labels)})"


def _by(keys: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(keys)}" if keys else ""


def _clip(text: str, cap: int) -> str:
    return f"CAST(least(greatest({text}, {-cap}), {cap}) AS BIGINT)"


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]
