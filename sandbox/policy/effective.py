"""What a grant opens: floor ∩ dataset ∩ grant, as the ``Catalogue`` that queries resolve against.

Invariants
- What the grant does not list does not exist in the catalogue, not even as a name.
- A column that no grant may hold (``share: none``, ``use: []``) is left out even if a grant lists it.
- Facts from a snapshot are taken for public tables only; for protected tables only declared facts count.
- The version depends on every document and fact behind the catalogue, and on nothing else.
- A document that does not fit is a refusal, never a smaller or larger catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from sandbox.catalogue import Catalogue, Column, Grid, KeyPath, Scalar, Table, Unit
from sandbox.errors import Code, refuse
from sandbox.policy.canonical import Plain, fingerprint
from sandbox.policy.documents import ColumnRule, Dataset, Grant, Share, TableRule
from sandbox.policy.floor import FLOOR, Floor


@dataclass(frozen=True, slots=True)
class PublicFacts:
    """What the snapshot says about one *public* table.

    ``extent``: number of rows; ``domains``: the distinct values of columns that have few; ``unique``:
    columns in which no two rows share a value.
    """

    extent: int
    domains: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    unique: frozenset[str] = frozenset()


def effective(
    grant: Grant,
    datasets: Iterable[Dataset],
    facts: Mapping[str, PublicFacts],
    floor: Floor = FLOOR,
) -> Catalogue:
    """The catalogue of one grant.

    ``datasets`` may hold more than the grant names; ``facts`` is keyed by ``dataset.table`` and may lack
    tables (nothing is then known about them).  Raises ``Refusal`` (``Code.DOCUMENT``) if the grant names
    a dataset, table or column that is not there.
    """
    by_id = {d.id: d for d in datasets}
    tables: list[Table] = []
    known: dict[str, PublicFacts] = {}
    used: dict[str, str] = {}
    for table_id, names in grant.data:
        dataset, rule = _find(by_id, table_id)
        used[dataset.id] = dataset.hash
        if rule.public and table_id in facts:
            known[table_id] = facts[table_id]
        tables.append(_table(dataset, rule, names, known.get(table_id), floor))
    return Catalogue(tuple(tables), _joins(grant, tables), _version(grant, used, known, floor))


def grantable(column: ColumnRule, dataset: Dataset) -> bool:
    """Whether any grant may hold this column: it is shared, and has at least one use."""
    return bool(column.use) and (column.share or dataset.share) is not Share.NONE


def _find(by_id: Mapping[str, Dataset], table_id: str) -> tuple[Dataset, TableRule]:
    dataset_id, _, name = table_id.partition(".")
    dataset = by_id.get(dataset_id)
    rule = dataset.table(name) if dataset else None
    if dataset is None or rule is None:
        raise refuse(Code.DOCUMENT, table_id, "name a table of a loaded dataset", "请写已加载数据集中的表")
    return dataset, rule


def _table(
    dataset: Dataset, rule: TableRule, names: tuple[str, ...] | None, facts: PublicFacts | None, floor: Floor
) -> Table:
    wanted = _names(dataset, rule, names)
    columns = tuple(
        _column(c, rule, facts) for c in rule.columns if c.name in wanted and grantable(c, dataset)
    )
    shown = frozenset(c.name for c in columns)
    return Table(
        dataset=dataset.id,
        name=rule.name,
        columns=columns,
        unit=_unit(dataset, rule, shown),
        rows=rule.rows,
        extent=facts.extent if facts else None,
        paths=_paths(dataset, rule, shown),
        grid=_grid(rule, floor),
        several_units=len(rule.units) > 1,
        unique=tuple(key for key in rule.unique if shown.issuperset(key)) if rule.public else (),
    )


def _names(dataset: Dataset, rule: TableRule, names: tuple[str, ...] | None) -> frozenset[str]:
    """The columns that the grant lists; ``all`` opens public tables only."""
    if names is None:
        if not rule.public:
            subject = f"{dataset.id}.{rule.name}"
            raise refuse(Code.DOCUMENT, subject, "list the columns: `all` is for public tables", "请逐列列出")
        return frozenset(c.name for c in rule.columns)
    for name in names:
        if rule.column(name) is None:
            subject = f"{dataset.id}.{rule.name}.{name}"
            raise refuse(Code.DOCUMENT, subject, "name a column of the table", "请写该表中的列")
    return frozenset(names)


def _column(rule: ColumnRule, table: TableRule, facts: PublicFacts | None) -> Column:
    domain, unique = rule.domain, rule.unique
    if facts is not None:
        domain = domain if domain is not None else facts.domains.get(rule.name)
        unique = unique or rule.name in facts.unique
    return Column(
        name=rule.name,
        kind=rule.kind,
        use=rule.use,
        nullable=rule.nullable,
        range=rule.range,
        clip=rule.clip,
        scale=rule.scale,
        domain=domain,
        step=rule.step,
        unique=unique,
        per_unit=rule.name in table.per_unit,
    )


def _unit(dataset: Dataset, rule: TableRule, shown: frozenset[str]) -> Unit | None:
    """The first declared unit; its column only where it lies in this table and is granted."""
    if rule.public:
        return None
    unit = rule.units[0]
    column = unit.column if not unit.path and unit.column in shown else None
    return Unit(unit.kind, f"{dataset.id}/{unit.kind}", column)


def _paths(dataset: Dataset, rule: TableRule, shown: frozenset[str]) -> tuple[KeyPath, ...]:
    """First steps of the key paths.

    The readers hold the table a step leads to to the same unit along the rest of the path, so one step
    is enough: equality on it means the same row there, hence the same unit.
    """
    steps = (unit.path[0] for unit in rule.units[:1] if unit.path)
    return tuple(replace(s, table=f"{dataset.id}.{s.table}") for s in steps if s.column in shown)


def _grid(rule: TableRule, floor: Floor) -> Grid | None:
    if rule.grid is None:
        return None
    return replace(
        rule.grid,
        units=max(rule.grid.units, floor.units),
        dominance=max(rule.grid.dominance, Fraction(floor.dominance)),
    )


def _joins(grant: Grant, tables: Iterable[Table]) -> frozenset[frozenset[str]]:
    """The listed pairs of which both columns are open."""
    shown = {f"{t.id}.{c.name}" for t in tables for c in t.columns}
    return frozenset(frozenset(pair) for pair in grant.joins if shown.issuperset(pair))


def _version(grant: Grant, used: Mapping[str, str], known: Mapping[str, PublicFacts], floor: Floor) -> str:
    facts: dict[str, Plain] = {t: (f.extent, f.domains, sorted(f.unique)) for t, f in known.items()}
    limits = [floor.units, floor.dominance]
    return fingerprint({"grant": grant.hash, "datasets": dict(used), "facts": facts, "floor": limits})
