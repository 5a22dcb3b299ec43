"""A store that is older than its log: a backup was brought back.  The bureau's way on, on record.

The name of the old log is never signed under again: heads of it that others hold would say otherwise.  A new
log, with a name and a key of its own, begins with the entries that are left; its next entry says what is
missing and bears the longest head that is known.

Invariants:
- the signed heads, not this store, say that something is missing; where the tiles are whole, the entries that
  are left are proved to be the first of what was signed, or nothing is done;
- charges that were forgotten are never less than what is counted: all that was left of every budget is spent;
- what was decided since the backup is decided anew: everything is frozen, and every token is revoked;
- the old log's files are kept in ``before/``; whoever dies halfway does the rest when asked again.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from sqlalchemy import select

from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.freezes import Freezes, Scope
from sandbox.store.ledger import Account, Charge
from sandbox.store.log import checkpoint, identity, tiles
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.hashing import Hash
from sandbox.store.log.identity import Identity
from sandbox.store.log.keys import CURRENT, Keys
from sandbox.store.log.note import NoteError, PublicKey, Signer
from sandbox.store.log.tiles import WIDTH, Tile
from sandbox.store.log.transparency import PUBLISHED, damaged
from sandbox.store.log.tree import Tree
from sandbox.store.schema import audit
from sandbox.store.write_off import write_off

BEFORE: Final = "before"
"""The folder of what the log left behind, a folder for each recovery within."""

_LEAVES: Final = select(audit.c.leaf).order_by(audit.c.seq).execution_options(yield_per=WIDTH)

_NAMED: Final = re.compile(r"(.+)/recovered-([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done.  ``entries`` are left of at least ``signed``; ``proved``: they are the first of them.

    ``before`` and ``key``: the old log's name, and the new one's key.  ``spent``: what was written off.
    """

    entries: int
    signed: int
    proved: bool
    before: str
    key: str
    tokens: int
    spent: tuple[Charge, ...]


def recover(
    database: Database,
    folder: Path,
    by: Person,
    reason: str,
    now: dt.datetime,
    *,
    held: Iterable[str] = (),
    totals: Iterable[Account] = (),
) -> Recovered | None:
    """Go on with a store that lacks entries of its log; ``None`` where only files were left to move.

    ``held``: signed heads that others hold.  ``totals``: what the documents allow in all.  No gateway may
    work on the store.  Refuses ``REQUEST`` where nothing is missing, ``CHECKPOINT`` heads of another log,
    ``LOG_DAMAGED`` where the entries that are left are not those that were signed.
    """
    keys = Keys(folder / "keys")
    with database.read() as connection:
        known = identity.begun(connection)
    if known is None:
        raise damaged("there is a key and no log")
    if keys.signer().public.name != known.origin:
        _clear(folder, keys, known)
        return None
    head, note, proved, size = _missing(database, folder, keys.public(), known, held)
    signer = _signer(keys, _next(known.origin))
    with database.write():
        identity.rename(database, known.origin, signer.public.name)
        request = f"recover-{size}"
        spent = write_off(database, f"{by.name}/{request}", totals, now)
        revoked = Accounts(database).shut(now)
        told = {"before": known.origin, "entries": size, "signed": head.size, "head": note, "proved": proved}
        told |= {"key": signer.public.text, "tokens": revoked}
        told["spent"] = {charge.account: [str(charge.amount), str(charge.delta)] for charge in spent}
        frozen = Freezes(database).freeze(Scope.EVERYTHING, "", reason, by.name, now)
        for kind, decision, text, payload in (
            (Event.RECOVER, "done", reason, told),
            (Event.FREEZE, "frozen", frozen.subject, frozen.facts),
        ):
            AuditLog(database).append(
                kind,
                time=now,
                request=request if kind is Event.RECOVER else "",
                person=by.name,
                organisation=by.organisation,
                decision=decision,
                text=text,
                payload=payload,
            )
    _clear(folder, keys, Identity(signer.public.name, known.hash))
    return Recovered(size, head.size, proved, known.origin, signer.public.text, revoked, spent)


def _missing(
    database: Database, folder: Path, keys: Iterable[PublicKey], known: Identity, held: Iterable[str]
) -> tuple[Checkpoint, str, bool, int]:
    """The longest head known, its note, whether the tiles prove what is left, and how much that is."""
    size, published = AuditLog(database).size(), _published(folder)
    notes = [*held, *([published] if published else [])]
    try:
        heads = [(checkpoint.opened(note, known.origin, keys), note) for note in notes]
    except NoteError as error:
        raise refuse(Code.CHECKPOINT, str(error)) from None
    head, note = max(heads, key=lambda found: found[0].size, default=(None, ""))
    if head is None or head.size <= size:
        hint = "start the service; or give --held with a longer head that a witness holds"
        zh = "请直接启动服务；若见证方持有更长的检查点，请用 --held 给出"
        raise refuse(Code.REQUEST, "the store has every entry that is known to be signed", hint, zh)
    last = heads[-1][0] if published else None
    return head, note, last is not None and _proved(database, folder, known.hash, last), size


def _published(folder: Path) -> str:
    try:
        return (folder / PUBLISHED).read_text(encoding="utf-8", errors="replace").strip("\x00")
    except OSError:
        return ""


class _Unwritten(Tree):
    """A tree that only counts: its tiles are those that are compared."""

    def put(self, level: int, number: int, tile: Tile) -> None:
        """Nothing."""


def _proved(database: Database, folder: Path, hash: Hash, head: Checkpoint) -> bool:
    """Whether the tiles hold every leaf of the head, and the store's are the first of them.

    Refuses ``LOG_DAMAGED`` where they hold every leaf and the store's differ.
    """
    tree, differing = _Unwritten(hash, folder), -1
    with database.read() as connection, connection.execute(_LEAVES) as stored:
        for signed, mine in zip_longest(_tiles(folder, hash, head.size), stored.scalars()):
            if signed is None:
                break
            if mine not in (None, signed) and differing < 0:
                differing = tree.size
            tree.extend((signed,))
    if tree.size != head.size or tree.root() != head.root:
        return False
    if differing >= 0:
        raise damaged(f"entry {differing}")
    return True


def _tiles(folder: Path, hash: Hash, size: int) -> Iterator[bytes]:
    """The leaf hashes that the tiles of a tree of this size hold, up to the first that is not there."""
    for number in range(-(-size // WIDTH)):
        found = tiles.read(folder, 0, number, min(WIDTH, size - number * WIDTH), hash)
        if found is None:
            return
        yield from found.rows[0]


def _next(origin: str) -> str:
    """The new log's name: the old one's, and how often it was recovered."""
    match = _NAMED.fullmatch(origin)
    return f"{match[1]}/recovered-{int(match[2]) + 1}" if match else f"{origin}/recovered-1"


def _signer(keys: Keys, name: str) -> Signer:
    """The new log's key: the one that a recovery which did not end has saved, or a fresh one."""
    found = keys.waiting(name)
    if found is None:
        found = Signer.make(name)
        keys.save(found)
    return found


def _clear(folder: Path, keys: Keys, fresh: Identity) -> None:
    """Put the old log's files aside and sign with the new key.  Done halfway, it is done again."""
    number = _NAMED.fullmatch(fresh.origin)
    assert number is not None
    aside = folder / BEFORE / number[2]
    key = _signer(keys, fresh.origin).public
    mine = {CURRENT, f"{key.id.hex()}.key", f"{key.id.hex()}.vkey"}
    try:
        (aside / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in folder.iterdir():
            if file.name not in (BEFORE, "keys"):
                file.rename(aside / file.name)
        for file in (folder / "keys").iterdir():
            if file.name not in mine:
                shutil.copy2(file, aside / "keys" / file.name)
        keys.activate(key)
        for file in (folder / "keys").iterdir():
            if file.name not in mine:
                file.unlink()
    except OSError:
        raise refuse(Code.STORE, "the log's files cannot be written") from None
