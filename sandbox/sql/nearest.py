"""What to ask instead of a list of single units: the nearest grouping that many units share."""

from __future__ import annotations

from sandbox.sql.relation import Aggregate, Filter, Order, Project, Relation, Window


def shared_keys(relation: Relation) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Of rows grouped by a unit: the names of keys to leave out, and of those to keep; ``None`` for others.

    Kept are the keys with few known values; the others tell single units apart.
    """
    node = relation
    while isinstance(node, Project | Filter | Order | Window):
        node = node.input
    if not isinstance(node, Aggregate) or node.privacy is None:
        return None
    keys = [f for f in node.fields[: len(node.keys)] if f.name]
    kept = tuple(f.name for f in keys if f.facts.domain is not None and not f.unit_scope)
    return tuple(f.name for f in keys if f.name not in kept), kept


def instead(relation: Relation, kind: str) -> tuple[str, str] | None:
    """The advice in English and Chinese, for rows grouped by a unit."""
    found = shared_keys(relation)
    if found is None:
        return None
    left_out, kept = found
    names = ", ".join(left_out)
    form = f"GROUP BY {', '.join(kept)}" if kept else "no GROUP BY, or one by columns that many share"
    form_zh = f"GROUP BY {', '.join(kept)}" if kept else "不分组，或按多个主体共有的列分组"
    return (
        f"every row would be one {kind}: leave {names} out; the nearest allowed form is {form}",
        f"每行都是单个主体：请去掉 {names}；最接近的许可形式是 {form_zh}",
    )
