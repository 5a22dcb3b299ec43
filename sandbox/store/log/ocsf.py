"""Entries as events of the Open Cybersecurity Schema Framework: class API Activity (6003), version 1.3.0.

What OCSF has no place for stands under ``unmapped``.  (Pure.)
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Row

VERSION: Final = "1.3.0"
CATEGORY: Final = 6
"""Application Activity."""
CLASS: Final = 6003
"""API Activity."""

CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99

ACTIVITY: Final = {
    "intent": READ,
    "outcome": READ,
    "refusal": READ,
    "explain": READ,
    "read": READ,
    "export": READ,
    "account": CREATE,
    "ingest": CREATE,
    "freeze": CREATE,
    "key": CREATE,
    "policy": UPDATE,
    "approval": UPDATE,
    "lift": UPDATE,
    "cancel": UPDATE,
    "case": UPDATE,
    "delivery": READ,
    "recover": UPDATE,
    "purge": DELETE,
    "login": OTHER,
    "start": OTHER,
    "alert": OTHER,
    "notebook": OTHER,
}
"""What each kind of entry does; a test holds this against ``Event``."""

_INFORMATIONAL, _LOW, _HIGH = 1, 2, 4
_SEVERITY: Final = {"refusal": _LOW, "alert": _HIGH, "recover": _HIGH}
_UNKNOWN, _SUCCESS, _FAILURE = 0, 1, 2
_STATUS: Final = {"intent": _UNKNOWN, "refusal": _FAILURE}


def event(row: Row[Any], origin: str) -> dict[str, object]:
    """An entry as an event."""
    activity = ACTIVITY.get(row.kind, OTHER)
    datasets, codes = json.loads(row.datasets), json.loads(row.codes)
    named = [("grant", row.grant_id)] if row.grant_id else []
    named += [("dataset", dataset) for dataset in datasets]
    failed = row.decision in {"refused", "denied"}
    found: dict[str, object] = {
        "activity_id": activity,
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity,
        "severity_id": _SEVERITY.get(row.kind, _INFORMATIONAL),
        "status_id": _FAILURE if failed else _STATUS.get(row.kind, _SUCCESS),
        "time": row.time // 1000,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Data Sandbox", "vendor_name": "Data Sandbox"},
            "log_name": origin,
            "sequence": row.seq,
            "uid": f"{origin}/{row.seq}",
        },
        "actor": {"user": {"name": row.person or "-", "org": {"name": row.organisation or "-"}}},
        "api": {"operation": row.kind, "request": {"uid": row.request or str(row.seq)}},
        "src_endpoint": {"name": row.organisation or "-"},
        "resources": [{"type": kind, "name": name} for kind, name in named],
        "unmapped": {
            "decision": row.decision,
            "nano": str(row.nano),
            "text": row.text or "",
            "payload": row.payload or "",
            "leaf": row.leaf.hex(),
        },
    }
    return found | ({"status_detail": ", ".join(codes)} if codes else {})
