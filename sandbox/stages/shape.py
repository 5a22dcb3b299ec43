"""The shape of an answer: which columns it has, and where their half-widths went."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.model import AnswerColumn
from sandbox.privacy.explain import predicted
from sandbox.privacy.plan import Plan
from sandbox.sql.relation import Relation, visible


def answer_columns(
    post: Relation, plan: Plan | None, names: tuple[str, ...], *, noisy: frozenset[int]
) -> tuple[AnswerColumn, ...]:
    """Output columns with the names that the query gave them."""
    return tuple(
        AnswerColumn(
            name or f"column {position + 1}",
            post.fields[index].facts.kind,
            position in noisy,
            "" if plan is None else predicted(plan, index),
        )
        for position, (index, name) in enumerate(zip(visible(post), names, strict=True))
    )


def split_table(
    found: pa.Table, columns: tuple[AnswerColumn, ...], places: Mapping[int, int | None]
) -> tuple[pa.Table, pa.Table]:
    """The values, and the half-widths in the same shape (null where there are none)."""
    names = [f"c{i}" for i in range(len(columns))]
    values = [found.column(i) for i in range(len(columns))]
    margins = [_margin(found, i, places.get(i)) for i in range(len(columns))]
    return pa.Table.from_arrays(values, names=names), pa.Table.from_arrays(margins, names=names)


def _margin(found: pa.Table, column: int, place: int | None) -> pa.ChunkedArray:
    """The half-widths of a column; a NULL has none."""
    if place is None:
        return pa.chunked_array([pa.nulls(found.num_rows, pa.float64())])
    width = found.column(place).cast(pa.float64())
    return pc.if_else(pc.is_valid(found.column(column)), width, None)
