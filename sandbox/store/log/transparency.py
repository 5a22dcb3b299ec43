"""The transparency log over the audit log: checkpoints, receipts, consistency proofs.

Invariants:
- what is signed was durable before: the tree grows by entries that the database has committed, only;
- a receipt is checked as its holder will check it, before it leaves; what does not check is made again from
  the database once, and refused with ``Code.LOG_DAMAGED`` if it still does not;
- no head is signed that does not begin with the last one published, nor with any that this process signed;
- opening reads the right edge of the tree, not the log; the whole is checked by ``whole.py``.

    <folder>/tile/…  tiles      <folder>/checkpoint  last published head      <folder>/keys/  signing keys
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import bindparam, select

from sandbox.errors import Code, Refusal, refuse
from sandbox.model import Receipt
from sandbox.store.audit import AuditLog
from sandbox.store.database import Database
from sandbox.store.log import checkpoint, identity, merkle, receipt
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.files import put
from sandbox.store.log.hashing import SHA256, SIZE, Hash
from sandbox.store.log.identity import Identity
from sandbox.store.log.keys import Keys
from sandbox.store.log.note import NoteError, Signer
from sandbox.store.log.tree import MissingTileError, Tree
from sandbox.store.log.whole import Verified, verify
from sandbox.store.schema import audit
from sandbox.store.seal import UNREADABLE

PUBLISHED: Final = "checkpoint"
_BATCH: Final = 10_000
_LEAVES: Final = (
    select(audit.c.seq, audit.c.leaf).where(audit.c.seq >= bindparam("start")).order_by(audit.c.seq)
)
"""Built once: building it costs as much as running it."""

T = TypeVar("T")


def damaged(subject: str) -> Refusal:
    """The log is not what was signed."""
    return refuse(Code.LOG_DAMAGED, subject)


def begin(database: Database, folder: Path, origin: str = "", hash: Hash = SHA256) -> Identity:
    """Give a log its name, hash function and first key; what it has already stays.

    Without an ``origin`` the name is drawn at random.  Refuses with ``Code.LOG_KEY`` where the log has a name
    and its key is not here, ``Code.LOG_DAMAGED`` where a key is here and the log is gone.  Raises
    ``NoteError`` for an origin with spaces or plus signs.
    """
    keys = Keys(folder / "keys")
    present = keys.present  # looked at first: another process may begin the log just now
    with database.read() as connection:
        known = identity.begun(connection)
    if known is None:
        if present:
            raise damaged("there is a key and no log")
        signer = Signer.make(origin or f"data-sandbox/{secrets.token_hex(8)}")
        keys.save(signer)  # before the log has its name: whoever dies in between leaves a key to adopt
        known = identity.begin(database, Identity(signer.public.name, hash))
        if known.origin == signer.public.name:
            keys.activate(signer.public)
    if not keys.present:
        keys.adopt(known.origin)
    if keys.signer().public.name != known.origin:
        raise refuse(Code.LOG_KEY, "it is another log's")
    return known


class TransparencyLog:
    """One log.  Thread-safe; any number of processes may have it open.

    ``repaired`` says what had to be made again: ``tiles``, or the ``checkpoint`` last published; else "".
    """

    def __init__(self, database: Database, audit: AuditLog, folder: Path) -> None:
        known = begin(database, folder)
        self.origin, self.hash = known.origin, known.hash
        self.folder = folder
        self.keys = Keys(folder / "keys")
        self.repaired = ""
        self._database = database
        self._audit = audit
        self._lock = threading.RLock()
        self._tree: Tree | None = None
        self._signed: tuple[int, bytes, str] | None = None
        self._do(lambda tree: tree.size)

    def receipt(self, seq: int) -> Receipt:
        """Proof that entry ``seq``, as it is stored now, is in the log.

        Refuses with ``Code.NOT_FOUND`` for an entry that is not there, ``Code.LOG_DAMAGED`` for one that is
        not what was sealed.
        """
        try:
            sealed = self._audit.sealed(seq)
        except UNREADABLE:
            raise damaged(f"entry {seq}") from None
        if sealed is None:
            raise refuse(Code.NOT_FOUND, f"entry {seq}")
        if not sealed.intact:
            raise damaged(f"entry {seq}")
        path, head = self._do(lambda tree: self._proved(tree, seq, sealed.leaf), seq + 1)
        personal = None if sealed.opening is None else sealed.opening.decode()
        return Receipt(self.hash.name, seq, sealed.data.decode(), sealed.salt, personal, path, head)

    def checkpoint(self) -> str:
        """The signed head of the log as it is now."""
        return self._do(self._head)

    def consistency(self, old: int) -> Mapping[str, object]:
        """Proof that the log as it is now begins with its first ``old`` entries.

        Refuses with ``Code.CHECKPOINT`` if it has not so many.
        """

        def proved(tree: Tree) -> Mapping[str, object]:
            proof = self._consistent(tree, old, tree.size)
            return receipt.consistency(self.hash, old, proof, self._head(tree))

        return self._do(proved)

    def proof(self, old: int, new: int) -> merkle.Proof:
        """Proof that the first ``new`` entries begin with the first ``old``; refuses as ``consistency``."""
        return self._do(lambda tree: self._consistent(tree, old, new))

    def holds(self, signed: str) -> Checkpoint:
        """The head in a checkpoint that somebody held, if this log begins with it.

        Refuses with ``Code.CHECKPOINT`` what this log did not sign, ``Code.LOG_DAMAGED`` if the log no longer
        begins with it.
        """
        held = self.signed_here(signed)
        self._do(lambda tree: self._begins(tree, held))
        return held

    def signed_here(self, signed: str) -> Checkpoint:
        """The head in a checkpoint that this log signed.  Refuses with ``Code.CHECKPOINT`` any other."""
        try:
            return checkpoint.opened(signed, self.origin, self.keys.public())
        except NoteError as error:
            raise refuse(Code.CHECKPOINT, str(error)) from None

    def verify(self, held: str = "") -> Verified:
        """Check every entry, commitment, tile and signed head; ``held``: a checkpoint that somebody held.

        Makes wrong tiles again.  Refuses with ``Code.CHECKPOINT`` a ``held`` that this log did not sign,
        ``Code.LOG_DAMAGED`` with every fault, leaving everything as it is.
        """
        heads = [self.signed_here(self._do(self._head))]
        published = self._published()
        heads += [] if published is None else [published]
        heads += [self.signed_here(held)] if held else []
        found = verify(self._database, self.folder, self.hash, tuple(heads))
        found.raise_faults()
        if found.tiles:
            self._do(self._make_again)
        return found

    def publish(self) -> str:
        """Put the head and the tiles of its size in place for others to read; the head."""

        def published(tree: Tree) -> str:
            head = self._head(tree)
            tree.write_edge()
            put(self.folder / PUBLISHED, head.encode())
            return head

        return self._do(published)

    def _do(self, work: Callable[[Tree], T], least: int | None = None) -> T:
        """Work on the tree of at least ``least`` leaves (default: all there are).

        A tile that is missing or wrong has the tiles made again, once.
        """
        with self._lock:
            try:
                try:
                    return work(self._grown(least))
                except MissingTileError:
                    self.repaired = "tiles"
                    self._tree = self._remade(self._tree)
                    return work(self._grown(least))
            except MissingTileError:
                raise damaged("its tree") from None
            except OSError:
                self._tree = None
                raise refuse(Code.STORE, "the log's files cannot be written") from None

    def _make_again(self, tree: Tree) -> None:
        self._tree = self._remade(tree)

    def _proved(self, tree: Tree, seq: int, leaf: bytes) -> tuple[merkle.Proof, str]:
        if seq >= tree.size:
            raise damaged(f"entry {seq}")
        path = tree.inclusion(seq)
        if merkle.root_of_inclusion(seq, tree.size, leaf, path, self.hash) != tree.root():
            raise MissingTileError
        return path, self._head(tree)

    def _consistent(self, tree: Tree, old: int, new: int) -> merkle.Proof:
        if not 0 <= old <= new <= tree.size:
            raise refuse(Code.CHECKPOINT, f"{old} entries, where there are {new}")
        proof = merkle.consistency(old, new, tree.node, self.hash)
        if not merkle.consistent(old, new, tree.root(old), tree.root(new), proof, self.hash):
            raise MissingTileError
        return proof

    def _begins(self, tree: Tree, held: Checkpoint) -> None:
        if held.size > tree.size:
            raise damaged(f"{tree.size} entries, where {held.size} were signed")
        if tree.root(held.size) != held.root:
            raise damaged(f"the first {held.size} entries")

    def _head(self, tree: Tree) -> str:
        signer = self.keys.signer()
        about = (tree.size, signer.public.id)
        if self._signed is None or self._signed[:2] != about:
            head = Checkpoint(self.origin, tree.size, tree.root())
            self._signed = (*about, head.signed(signer))
        return self._signed[2]

    def _grown(self, least: int | None) -> Tree:
        tree = self._tree = self._tree or self._opened()
        if least is None or tree.size < least:
            try:
                tree.extend(self._leaves(tree.size))
            except BaseException:
                self._tree = None  # half a step may have been made
                raise
        return tree

    def _opened(self) -> Tree:
        """The tree as last published, from its tiles; or made again."""
        held = self._published()
        if held is None:
            self.repaired = "checkpoint" if (self.folder / "tile").exists() else ""
            return self._remade(None)
        size = self._audit.size()
        if held.size > size:
            raise damaged(f"{size} entries, where {held.size} were signed")
        with suppress(MissingTileError):
            tree = Tree.load(self.hash, self.folder, held.size)
            if tree.root() == held.root:
                return tree
        self.repaired = "tiles"
        return self._remade(None)

    def _remade(self, before: Tree | None) -> Tree:
        """The tree from the database alone, held against what was signed."""
        tree = Tree(self.hash, self.folder)
        tree.extend(self._leaves(0))
        held = self._published()
        if held is not None:
            self._begins(tree, held)
        if before is not None:
            self._begins(tree, Checkpoint(self.origin, before.size, before.root()))
        return tree

    def _published(self) -> Checkpoint | None:
        """The head that was last put in place; ``None`` if there is none, or a crash emptied its file."""
        try:
            data = (self.folder / PUBLISHED).read_bytes()
        except FileNotFoundError:
            return None
        if not data.strip(b"\x00"):
            return None
        return self.signed_here(data.decode("utf-8", "replace"))

    def _leaves(self, start: int) -> Iterator[bytes]:
        """The leaf hashes from ``start`` on, as the database has committed them."""
        with self._database.read() as connection:
            rows = connection.execute(_LEAVES, {"start": start}, execution_options={"yield_per": _BATCH})
            for expected, row in enumerate(rows, start):
                if row.seq != expected or not isinstance(row.leaf, bytes) or len(row.leaf) != SIZE:
                    raise damaged(f"entry {expected}")
                yield row.leaf
