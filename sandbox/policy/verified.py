"""What ingestion verifies and lays down, as one hash.

Privacy rests on declarations that hold of the *stored* data because ingestion checked them: who the unit
is, that a unit has one row, which columns are functions of it, which public keys are unique, what range
and domain values keep.  If such a word is edited later, the snapshot in force was never held to it.
"""

from __future__ import annotations

import hashlib

from sandbox.policy.documents import ColumnRule, Dataset, TableRule


def verified(dataset: Dataset) -> str:
    """SHA-256 of all that a snapshot of the dataset was checked against and built from."""
    return hashlib.sha256(repr(tuple(map(_table, dataset.tables))).encode()).hexdigest()


def _table(rule: TableRule) -> tuple[object, ...]:
    single, columns = rule.rows == 1, tuple(map(_column, rule.columns))
    return (rule.name, rule.public, rule.units, rule.per_unit, single, rule.grid, rule.unique, columns)


def _column(rule: ColumnRule) -> tuple[object, ...]:
    return (rule.name, rule.kind, rule.nullable, rule.domain, rule.range, rule.scale, rule.step, rule.unique)
