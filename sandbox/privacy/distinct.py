"""The SQL that counts distinct values: each unit stands for at most so many values, in all groups together.

A unit's distinct (group, value) pairs are put in an order that its own rows alone decide: by a hash, then by
the pair itself.  Under a cap C, a pair counts where some unit has it among its first C; so for each pair only
the least place that any unit gives it matters, and one statement tells the counts at every cap:

    p = 1       x: pairs of the group whose least place is in bin ``b``
    p = -1      z: units whose number of pairs is in bin ``b``

The bound (proof in docs/soundness.md): adding a unit adds at most its first C pairs, and removes none.
"""

from __future__ import annotations

from sandbox.privacy.bins import bin_sql
from sandbox.privacy.release import Release, What
from sandbox.sql.compile import compile_expr, compile_relation, plain_zero
from sandbox.sql.facts import facts_of
from sandbox.sql.relation import facts


def distinct_sql(release: Release) -> str | None:
    """The statement, in the columns of ``statements.tally_sql``; ``None`` if nothing distinct is counted."""
    if not any(m.what is What.DISTINCT for m in release.measures):
        return None
    (measure,) = release.measures
    keys = [f"k{i}" for i in range(len(release.keys))]
    own = ", ".join([*keys, "v"])
    order = ", ".join([f"hash(u, {own})", *keys, "v"])
    upper = str(measure.upper)
    place, norm = (bin_sql(n, upper, power=1, step_bits=0) for n in ("o", "n"))
    ctes = [
        f"d AS (SELECT DISTINCT u, {own} FROM ({_rows(release)}) AS r)",
        f"e AS (SELECT {own}, row_number() OVER (PARTITION BY u ORDER BY {order}) AS o FROM d)",
        f"f AS (SELECT {own}, min(o) AS o FROM e GROUP BY {own})",
        "s AS (SELECT count(*) AS n FROM d GROUP BY u)",
    ]
    shown = ", ".join(["1 AS p", *keys, f"{place} AS b", "count(*) AS x", "0 AS y", "0 AS z"])
    nothing = ", ".join(["-1", *("NULL" for _ in keys), f"{norm} AS b", "0", "0", "count(*)"])
    by = ", ".join([*keys, "b"])
    return (
        f"WITH {', '.join(ctes)} SELECT {shown} FROM f GROUP BY {by} "
        f"UNION ALL SELECT {nothing} FROM s GROUP BY b"
    )


def _rows(release: Release) -> str:
    """The unit, the keys and the value of every row that counts."""
    (measure,), privacy = release.measures, release.input.privacy
    assert privacy is not None
    assert measure.value is not None
    known = facts(release.input)
    columns = [f'"c{i}"' for i in range(len(known))]
    shown = [f"{columns[privacy.unit]} AS u"]
    for i, key in enumerate(release.keys):
        shown.append(f"{plain_zero(compile_expr(key.expr, known, columns), key.facts.kind)} AS k{i}")
    kind = facts_of(measure.value, known).kind
    shown.append(f"{plain_zero(compile_expr(measure.value, known, columns), kind)} AS v")
    where = "" if measure.where is None else f" WHERE {compile_expr(measure.where, known, columns)}"
    return f"SELECT {', '.join(shown)} FROM ({compile_relation(release.input)}) AS i{where}"
