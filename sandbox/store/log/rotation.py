"""Rotation of the signing key: the old key vouches for the new one, in the log.

A rotation is an entry that names the new key, with a receipt that the *old* key signed; who trusts the old
key and checks the receipt (``docs/verifier/verify.py``) trusts the new one.  Receipts are kept in
``rotations/``, in the order of their entries.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.store.audit import AuditLog, Event
from sandbox.store.log import receipt
from sandbox.store.log.files import put
from sandbox.store.log.note import Signer
from sandbox.store.log.transparency import TransparencyLog

FOLDER: Final = "rotations"


def rotate(log: TransparencyLog, audit: AuditLog, now: dt.datetime, by: Person) -> Mapping[str, object]:
    """Add a key, log it under the old one, sign with it from then on; the receipt as a document."""
    old, new = log.keys.signer().public, Signer.make(log.origin)
    log.keys.save(new)
    seq = audit.append(
        Event.KEY,
        time=now,
        person=by.name,
        organisation=by.organisation,
        decision="done",
        payload={"key": new.public.text, "before": old.text},
    )
    told = receipt.document(log.receipt(seq))
    try:
        file = log.folder / FOLDER / f"{seq:019d}.json"
        put(file, json.dumps(told, ensure_ascii=False).encode(), durable=True)
    except OSError:
        raise refuse(Code.LOG_KEY, "it cannot be written") from None
    log.keys.activate(new.public)
    return told


def rotations(log: TransparencyLog) -> tuple[Mapping[str, object], ...]:
    """The receipts of all rotations, oldest first.  Refuses with ``Code.LOG_KEY`` if one is damaged."""
    try:
        files = sorted((log.folder / FOLDER).glob("*.json"))
        return tuple(json.loads(file.read_bytes()) for file in files)
    except (OSError, ValueError):
        raise refuse(Code.LOG_KEY, "the receipt of a rotation is damaged") from None
