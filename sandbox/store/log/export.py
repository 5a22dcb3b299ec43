"""The log for other programs: JSON Lines that verify, CSV for tables, OCSF for event collectors.

An export reads one consistent view of the log, entry by entry, in bounded memory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row

from sandbox.store import seal
from sandbox.store.audit import rows
from sandbox.store.canonical import canonical
from sandbox.store.database import Database, moment
from sandbox.store.log import ocsf
from sandbox.store.log.hashing import Hash
from sandbox.store.schema import audit

LOG: Final = "data-sandbox/log/1"
"""The format that the first line of a JSON Lines export names."""

COLUMNS: Final = (
    "seq", "time", "kind", "request", "person", "organisation", "grant", "datasets", "decision", "codes",
    "nano", "text", "payload", "leaf",
)  # fmt: skip
"""The columns of a CSV export; lists and the payload as JSON, the leaf hash in hexadecimal."""

_BATCH: Final = 2_000


class Format(StrEnum):
    """The forms of an export."""

    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"


def lines(database: Database, hash: Hash, form: Format, head: dict[str, object], start: int) -> Iterator[str]:
    """The export's lines, from entry ``start`` on.

    ``head`` (origin, keys, rotations, checkpoint) is the first line of JSON Lines.  Such an export ends where
    the checkpoint does.
    """
    size = int(str(head["size"]))
    writers: dict[Format, Callable[[Row[Any]], str]] = {
        Format.JSONL: lambda row: _line(row, hash),
        Format.CSV: _cells,
        Format.OCSF: lambda row: canonical(ocsf.event(row, str(head["origin"]))) + "\n",
    }
    if form is Format.JSONL:
        yield canonical({"format": LOG, "hash": hash.name, "start": start, **head}) + "\n"
    if form is Format.CSV:
        yield _written(COLUMNS)
    statement = rows(audit).where(audit.c.seq >= start, audit.c.seq < size).order_by(audit.c.seq)
    with database.read() as connection:
        for row in connection.execution_options(yield_per=_BATCH).execute(statement):
            yield writers[form](row)


def _line(row: Row[Any], hash: Hash) -> str:
    """The entry as hashed, and what opens its commitment unless that was lawfully deleted."""
    sealed = seal.rebuilt(row, hash)
    opened = sealed.salt is not None and sealed.opening is not None
    told = {
        "entry": json.loads(sealed.data),
        "salt": sealed.salt.hex() if sealed.salt is not None else None,
        "personal": json.loads(sealed.opening or b"null") if opened else None,
    }
    return canonical(told) + "\n"


def _cells(row: Row[Any]) -> str:
    time = moment(row.time).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    about = (row.seq, time, row.kind, row.request, row.person, row.organisation, row.grant_id)
    rest = (row.datasets, row.decision, row.codes, row.nano, row.text, row.payload, row.leaf.hex())
    return _written((*about, *rest))


def _written(cells: tuple[object, ...]) -> str:
    """One line of RFC 4180; what was deleted is empty."""
    found = io.StringIO()
    csv.writer(found, lineterminator="\r\n").writerow("" if cell is None else cell for cell in cells)
    return found.getvalue()
