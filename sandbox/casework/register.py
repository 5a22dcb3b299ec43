"""The public register of grants and products, made from the audit log alone.

Invariant: two stores with the same log give the same bytes; no person is named, and no text of a query.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Final

from sandbox.model import LogEntry
from sandbox.policy.documents import DpGuard, Grant, Product
from sandbox.policy.grant_reader import read_grant
from sandbox.policy.mistakes import At
from sandbox.policy.parts import decimal
from sandbox.policy.product_reader import read_product
from sandbox.policy.tree import Fields, trees
from sandbox.policy.workflow.states import Kind, State
from sandbox.store.audit import Event
from sandbox.store.canonical import canonical
from sandbox.store.database import Database
from sandbox.store.replay import replay

COLUMNS: Final = (
    "case", "kind", "id", "state", "since", "hash", "entry", "organisation", "title_zh", "title_en",
    "purpose", "from", "until", "data", "mode", "fee",
)  # fmt: skip
"""``since``, ``hash`` and ``entry``: when it came to this state, over which text, by which entry."""

_SHOWN: Final = frozenset({State.IN_FORCE, State.WITHDRAWN, State.REVOKED, State.EXPIRED, State.REPLACED})


def register(database: Database) -> tuple[dict[str, str], ...]:
    """One row for each grant and product that ever came into force through a case, by case."""
    return rows_of(replay(database, (Event.CASE,)))


def rows_of(entries: Iterable[LogEntry]) -> tuple[dict[str, str], ...]:
    """The register's rows from the entries of cases, oldest first."""
    texts: dict[int, str] = {}
    rows: dict[int, dict[str, str]] = {}
    for entry in entries:
        told = json.loads(entry.payload)
        case, kind, state = told["case"], Kind(told["kind"]), State(told["state"])
        texts[case] = told.get("text", texts.get(case, ""))
        known = case in rows or state is State.IN_FORCE
        if kind in (Kind.GRANT, Kind.PRODUCT) and state in _SHOWN and known:
            about = {"case": str(case), "kind": kind.value, "id": told["document"], "state": state.value}
            about |= {"since": entry.time.isoformat(), "hash": told["hash"], "entry": str(entry.seq)}
            rows[case] = dict.fromkeys(COLUMNS, "") | about | _facts(kind, texts[case])
    return tuple(rows[case] for case in sorted(rows))


def as_csv(rows: Iterable[dict[str, str]]) -> str:
    """RFC 4180 with a header.  What a spreadsheet would take for a formula gets an apostrophe."""
    out = io.StringIO()
    written = csv.writer(out)
    written.writerow(COLUMNS)
    written.writerows([_inert(row[name]) for name in COLUMNS] for row in rows)
    return out.getvalue()


def as_json(rows: Iterable[dict[str, str]]) -> str:
    """Canonical JSON."""
    return canonical({"register": list(rows)})


def _inert(cell: str) -> str:
    return "'" + cell if cell[:1] in "=+-@\t" and cell else cell


def _facts(kind: Kind, text: str) -> dict[str, str]:
    (node,) = trees(text, At("case", mistakes=[]))
    assert isinstance(node, Fields)  # it was in force
    if kind is Kind.GRANT:
        return _grant(read_grant(node, At("case", mistakes=[])).rule)
    product = read_product(node, At("case", mistakes=[]))
    assert product is not None
    return _product(product)


def _grant(grant: Grant) -> dict[str, str]:
    return {
        "organisation": grant.to,
        "title_zh": grant.scenario.title.zh,
        "title_en": grant.scenario.title.en,
        "purpose": grant.purpose,
        "from": grant.start.isoformat(),
        "until": grant.until.isoformat(),
        "data": " ".join(sorted(table for table, _ in grant.data)),
        "mode": "dp" if isinstance(grant.guard, DpGuard) else "exact",
    }


def _product(product: Product) -> dict[str, str]:
    fee = product.fee
    return {
        "organisation": " ".join(product.to),
        "title_zh": product.title.zh,
        "title_en": product.title.en,
        "data": product.grant,
        "fee": f"{decimal(fee.price)} {fee.unit} / {fee.per.value} ({fee.basis})",
    }
