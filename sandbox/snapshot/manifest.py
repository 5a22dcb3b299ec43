"""The manifest of a snapshot: what was read, what was kept, and the hash of every file.

Canonical JSON (sorted keys, no spaces, UTF-8), so that the same facts are the same bytes.  The
snapshot's id ends with the hash of everything else in the manifest, and a snapshot's identity is the
hash of the whole.  It is for the owner and the trusted side: it holds exact row counts, no values of
protected rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from sandbox.catalogue import Kind, Scalar
from sandbox.errors import Code, refuse

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows of a table went to quarantine for one reason; a row may have several.

    ``reason``: ``malformed type null range domain unit path rows per_unit duplicate_key unique``.
    """

    reason: str
    column: str
    rows: int


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of the snapshot.  ``unit``: its values are dense units of this kind, else ""."""

    name: str
    kind: Kind
    unit: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the snapshot, relative to its directory."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class CubeFacts:
    """What may be said about a cube: cells that survive and are withheld, rows withheld in whole %."""

    path: str
    cells: tuple[str, ...]
    measures: tuple[str, ...]
    units: int
    dominance: str
    round: int
    surviving: int
    withheld: int
    rows_withheld_percent: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a table's rows were read: the source document's id (or "") and hash, its kind, the table there,
    and the conditions on its rows.  Of a file that a command named, ``table`` is the file's name."""

    source: str
    connector: str
    table: str
    where: tuple[str, ...] = ()
    document: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """How a table that is loaded incrementally was read: ``full``, ``append`` or ``upsert``, by which column
    and key.  Rows ``read`` now and ``carried`` over from before; against the load before, rows ``added``,
    ``changed`` (of the same key) and ``removed``."""

    mode: str
    since: str
    key: tuple[str, ...]
    read: int
    carried: int
    added: int
    changed: int
    removed: int

    @property
    def restated(self) -> bool:
        """Whether rows that were there before are others now, or gone."""
        return self.changed + self.removed > 0


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table of the snapshot.  ``rows_in == published + quarantined``.

    ``domains`` and ``unique`` are contents of public tables only; values as JSON.
    ``seen``: the columns that the source had.
    """

    name: str
    public: bool
    rows_in: int
    published: int
    quarantined: int
    reasons: tuple[ReasonCount, ...]
    columns: tuple[StoredColumn, ...]
    dropped: tuple[str, ...]
    domains: Mapping[str, tuple[bool | int | str, ...]]
    unique: tuple[str, ...]
    cube: CubeFacts | None
    files: tuple[str, ...]
    origin: Origin | None = None
    load: Loaded | None = None
    seen: tuple[str, ...] = ()

    def domain(self, name: str) -> tuple[Scalar, ...]:
        """The distinct values of a public column, as Python values."""
        kind = next(c.kind for c in self.columns if c.name == name)
        return tuple(_from_json(kind, value) for value in self.domains[name])


@dataclass(frozen=True, slots=True)
class Seal:
    """Of an encrypted snapshot: the nonce of its keys, and by what the right master key is known."""

    nonce: str
    check: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot.  ``sequence`` counts the dataset's snapshots from 1.

    ``document`` is the hash of the dataset's document, ``verified`` that of what was checked of the data;
    ``seal`` is there if the files are encrypted.
    """

    id: str
    dataset: str
    sequence: int
    created: str
    document: str
    verified: str
    code: str
    tables: tuple[TableFacts, ...]
    files: tuple[StoredFile, ...]
    seal: Seal | None = None
    format: int = FORMAT

    def table(self, name: str) -> TableFacts | None:
        """The table of exactly this name, or ``None``."""
        return next((t for t in self.tables if t.name == name), None)

    def encode(self) -> bytes:
        """The canonical JSON."""
        plain = asdict(self)
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def sha256(self) -> str:
        """The snapshot's identity."""
        return hashlib.sha256(self.encode()).hexdigest()

    def named(self, now: dt.datetime) -> Manifest:
        """This manifest under its id: the UTC time and 12 hex digits of the hash of all else."""
        bare = replace(self, id="")
        return replace(self, id=f"{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{bare.sha256[:12]}")

    def sound(self) -> bool:
        """Whether the id fits the contents."""
        return self.id.endswith("-" + replace(self, id="").sha256[:12])


@lru_cache(maxsize=64)  # asked before every query; pure, and the bytes themselves are the key
def decode(data: bytes, subject: str) -> Manifest:
    """Read a manifest.  Refuses with ``Code.SNAPSHOT_DAMAGED`` naming ``subject``."""
    try:
        plain: dict[str, Any] = json.loads(data)
        plain["tables"] = tuple(_table(t) for t in plain["tables"])
        plain["files"] = tuple(StoredFile(**f) for f in plain["files"])
        if plain["seal"] is not None:
            plain["seal"] = Seal(**plain["seal"])
        manifest = Manifest(**plain)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise refuse(Code.SNAPSHOT_DAMAGED, subject) from None
    if manifest.format != FORMAT or not manifest.sound() or manifest.encode() != data:
        raise refuse(Code.SNAPSHOT_DAMAGED, subject)
    return manifest


def _table(plain: dict[str, Any]) -> TableFacts:
    plain["reasons"] = tuple(ReasonCount(**r) for r in plain["reasons"])
    plain["columns"] = tuple(StoredColumn(c["name"], Kind(c["kind"]), c["unit"]) for c in plain["columns"])
    plain["domains"] = {name: tuple(values) for name, values in plain["domains"].items()}
    if plain["origin"] is not None:
        plain["origin"] = Origin(**_tuples(plain["origin"]))
    if plain["load"] is not None:
        plain["load"] = Loaded(**_tuples(plain["load"]))
    if plain["cube"] is not None:
        plain["cube"] = CubeFacts(**_tuples(plain["cube"]))
    return TableFacts(**{f.name: _tuple(plain[f.name]) for f in fields(TableFacts)})


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuple(value) for name, value in plain.items()}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def to_json(value: bool | int | str | dt.date) -> bool | int | str:
    """A value of a public column for the manifest: dates and timestamps as ISO text."""
    return value.isoformat() if isinstance(value, dt.date) else value


def _from_json(kind: Kind, value: bool | int | str) -> Scalar:
    if kind is Kind.DATE:
        return dt.date.fromisoformat(str(value))
    if kind is Kind.TIMESTAMP:
        return dt.datetime.fromisoformat(str(value))
    return value
