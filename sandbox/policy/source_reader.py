"""A source document, from its tree to a frozen ``SourceRule``.  No secret may stand in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from sandbox.policy import source_fields as f
from sandbox.policy.documents import Load, RowTest, SourceRule, SourceTable
from sandbox.policy.fields import Entry, Values
from sandbox.policy.mistakes import At
from sandbox.policy.tree import Fields


def read_source(node: Fields, at: At) -> SourceRule | None:
    """The source, or ``None`` if anything in the document is a mistake (all are noted)."""
    before = len(at.mistakes)
    values = f.SOURCE.values(node, at)
    options: Mapping[str, Entry[str]] = values.get(f.OPTIONS) or {}
    for name, entry in options.items():
        _check_secret(name, entry)
    tables: Mapping[str, Entry[str | Values]] = values.get(f.TABLES) or {}
    if len(at.mistakes) != before:
        return None
    return SourceRule(
        id=values.get(f.ID) or "",
        connector=values.get(f.CONNECTOR) or "",
        options={name: entry.value or "" for name, entry in options.items()},
        tables={name: _table(entry.value) for name, entry in tables.items()},
    )


def _check_secret(name: str, entry: Entry[str]) -> None:
    """A secret is a reference; what stands in its place is not quoted, as it may be the secret."""
    if entry.value is None or not any(word in name.lower() for word in f.SECRET_WORDS):
        return
    if not re.fullmatch(f.REFERENCE, entry.value):
        entry.at.wrong("not a reference", "env:NAME or file:PATH", "env:变量名 或 file:路径")


def _table(found: str | Values | None) -> SourceTable:
    if not isinstance(found, Values):
        return SourceTable(found or "")
    columns: Mapping[str, Entry[str]] = found.get(f.COLUMNS) or {}
    return SourceTable(
        found.get(f.TABLE) or "",
        {name: entry.value or "" for name, entry in columns.items()},
        tuple(_test(text) for text in found.get(f.WHERE) or ()),
        _load(found.get(f.LOAD)),
    )


def _load(found: Values | None) -> Load | None:
    if found is None:
        return None
    return Load(found.get(f.SINCE) or "", found.get(f.KEY) or (), found.get(f.OVERLAP) or 0)


def _test(text: str) -> RowTest:
    column, op, value = text.split(" ", 2)
    return RowTest(column, op, Decimal(value) if f.number(value) else value)
