"""A document that somebody proposes, laid over those in force."""

from __future__ import annotations

from dataclasses import replace

from sandbox.policy.documents import Documents
from sandbox.policy.load import Source, read
from sandbox.policy.mistakes import Mistake


def proposed(documents: Documents, text: str, name: str) -> tuple[Documents, tuple[Mistake, ...]]:
    """The documents as they would be with those of ``text`` in place, and the mistakes of the text."""
    source = Source(name, text)
    ids = {d.id for d in read([source]).documents.datasets}
    checked = read([source], [d for d in documents.datasets if d.id not in ids])
    fresh = {d.id: d for d in checked.documents.datasets}
    granted = {g.id: g for g in checked.documents.grants}
    datasets = {d.id: d for d in documents.datasets} | fresh
    grants = {g.id: g for g in documents.grants} | granted
    return replace(
        documents, datasets=tuple(datasets.values()), grants=tuple(grants.values())
    ), checked.mistakes
