"""Encryption at rest: one master key from outside, and from it a key of its own for every table.

Invariants
- The master key is read from a file or asked of a command (a key management service), and is written nowhere.
- A table's key follows from it by HKDF-SHA256 (RFC 5869), with the dataset, a nonce that is new in every
  snapshot, and the table's place; whoever holds one table's key learns nothing of any other's.
- Files are Parquet modular encryption, AES-GCM of 256 bits over footer and columns alike.
- A manifest says under which nonce, and how the right key shows; so a wrong one is known before it is used.
"""

from __future__ import annotations

import re
import secrets
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sandbox.errors import Code, Refusal, refuse
from sandbox.snapshot.manifest import Seal

PATIENCE_S: Final = 30
"""Seconds that a key command may take."""

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_CHECK: Final = "check"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The secret of 256 bits behind everything that this home keeps encrypted."""

    secret: bytes = field(repr=False)

    def derive(self, dataset: str, nonce: str, place: str) -> bytes:
        """The key of 256 bits of one place."""
        info = "\0".join(("data-sandbox", dataset, place)).encode()
        return HKDF(SHA256(), 32, nonce.encode(), info).derive(self.secret)


@dataclass(frozen=True, slots=True)
class Sealing:
    """The keys of one snapshot of one dataset; ``None`` everywhere where nothing is encrypted."""

    dataset: str
    nonce: str = ""
    master: MasterKey | None = None

    def table(self, name: str) -> bytes | None:
        """The key of a table's rows."""
        return self._key(f"table/{name}")

    def cube(self, name: str) -> bytes | None:
        """The key of a table's cube."""
        return self._key(f"cube/{name}")

    def quarantine(self, name: str) -> bytes | None:
        """The key of what a table has in quarantine."""
        return self._key(f"quarantine/{name}")

    def base(self, name: str) -> bytes | None:
        """The key of the rows on which a table's next load goes on."""
        return self._key(f"base/{name}")

    def units(self, kind: str) -> bytes | None:
        """The key of the map of one kind of unit, which all snapshots of the dataset share."""
        return None if self.master is None else self.master.derive(self.dataset, "", f"units/{kind}")

    @property
    def seal(self) -> Seal | None:
        """What the manifest says."""
        return None if self.master is None else Seal(self.nonce, self._check(self.master))

    def _key(self, place: str) -> bytes | None:
        return None if self.master is None else self.master.derive(self.dataset, self.nonce, place)

    def _check(self, master: MasterKey) -> str:
        return master.derive(self.dataset, self.nonce, _CHECK).hex()


def fresh(dataset: str, master: MasterKey | None) -> Sealing:
    """The keys of a snapshot that is to be made."""
    return Sealing(dataset, secrets.token_hex(16), master)


def opened(dataset: str, seal: Seal | None, master: MasterKey | None) -> Sealing:
    """The keys of a snapshot that is there.  Refuses with ``Code.SNAPSHOT_SEALED`` without the right key."""
    if seal is None:
        return Sealing(dataset)
    found = Sealing(dataset, seal.nonce, master)
    if found.seal != seal:
        raise refuse(Code.SNAPSHOT_SEALED, dataset)
    return found


def read_key(reference: str, base: Path) -> MasterKey | None:
    """The key that ``file:PATH`` (from ``base`` on) or ``command:WORDS`` gives, as 64 hexadecimal digits.

    ``None`` for an empty reference.  Refuses with ``Code.SOURCE_SECRET`` what gives no key, and a file that
    others than its owner may read; no refusal shows the reference, the key or a command's words.
    """
    kind, _, place = reference.partition(":")
    if not reference:
        return None
    try:
        text = _told(place) if kind == "command" else _kept(base / place)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise _no_key(kind) from None
    if not _KEY.fullmatch(text.strip()):
        raise _no_key(kind)
    return MasterKey(bytes.fromhex(text.strip()))


def _told(words: str) -> str:
    done = subprocess.run(
        shlex.split(words), capture_output=True, check=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )
    return done.stdout.decode("ascii")


def _kept(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise ValueError("others may read it")
    return path.read_text(encoding="ascii")


def _no_key(kind: str) -> Refusal:
    hint = "encryption.key names a file of 64 hexadecimal digits that only its owner may read, or a command"
    zh = "encryption.key 应指向仅所有者可读、含 64 位十六进制数的文件，或输出该数的命令"
    return refuse(Code.SOURCE_SECRET, f"encryption.key, {kind}", hint, zh)
