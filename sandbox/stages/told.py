"""What is told of an answer whose releases were derived: another derivation, and other predicted errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Final

import pyarrow as pa

from sandbox.model import AnswerColumn, Derivation
from sandbox.privacy.explain import measured
from sandbox.privacy.plan import Plan
from sandbox.sql.relation import visible
from sandbox.stages.releases import Origin, Tables, name_of

WHY: Final = "it follows from an answer that is kept; ask within an accuracy for a draw of its own"


def derivation_with(tree: Derivation, origins: Mapping[str, Origin]) -> Derivation:
    """The derivation of a plan, where some releases are not drawn but follow from kept ones."""
    made = {f"release {name}": _derived(name, origin) for name, origin in origins.items()}
    return replace(tree, children=tuple(made.get(child.label, child) for child in tree.children))


def _derived(name: str, origin: Origin) -> Derivation:
    facts = (("of", f"{origin.cells} kept cells"), ("paid", str(origin.nano)), ("nano", "0"), ("why", WHY))
    return Derivation(f"derived {name}", facts)


def columns_with(
    columns: tuple[AnswerColumn, ...], plan: Plan, tables: Tables, origins: Mapping[str, Origin]
) -> tuple[AnswerColumn, ...]:
    """The columns of an answer with the half-widths that derived ones have, instead of a draw's."""
    return tuple(
        replace(column, predicted=_width(plan, index, tables, origins) or column.predicted)
        for column, index in zip(columns, visible(plan.post), strict=True)
    )


def _width(plan: Plan, index: int, tables: Tables, origins: Mapping[str, Origin]) -> str:
    source = measured(plan, index)
    if source is None or name_of(plan.priced[source[0]]) not in origins:
        return ""
    release = plan.priced[source[0]].release
    place = len(release.keys) + len(release.measures) + source[1]
    widths: pa.ChunkedArray = tables[name_of(plan.priced[source[0]])].column(place)
    known = [w for w in widths.to_pylist() if w is not None and math.isfinite(w)]
    return f"±{median(known):.6g}" if known else ""
