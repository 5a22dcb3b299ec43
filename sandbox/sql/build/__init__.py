"""Building relations: each function makes one node, derives its fields, and keeps the unit's rules.

The rules (DESIGN: the unit travels with the row; proofs in docs/soundness.md):
filters, projections and joins to public rows keep the unit; two private relations may be joined or
semi-joined only where equality on the unit is implied, and then that equality is *added* to the
condition, so that a wrong implication could change an answer but never mix two units; grouping that
has the unit among its keys stays private; any other grouping of private rows is a release.

Start at ``leaves`` (stored tables), then ``joins`` and ``groups``; ``units`` holds the question whose
row it is, ``fan`` how many rows of a public relation one row can meet.
"""

from sandbox.sql.build.fan import fan_out
from sandbox.sql.build.groups import aggregate, distinct, map_agg_value, order, window
from sandbox.sql.build.joins import join, semi_join
from sandbox.sql.build.leaves import scan, values
from sandbox.sql.build.rows import clamp_values, filter_, project
from sandbox.sql.build.unions import set_op
from sandbox.sql.build.units import unit_equality

__all__ = [
    "aggregate",
    "clamp_values",
    "distinct",
    "fan_out",
    "filter_",
    "join",
    "map_agg_value",
    "order",
    "project",
    "scan",
    "semi_join",
    "set_op",
    "unit_equality",
    "values",
    "window",
]
