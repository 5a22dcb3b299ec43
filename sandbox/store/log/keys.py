"""The signing keys of a log, in files beside it.

    keys/<id>.key    private, mode 0600      keys/<id>.vkey   public, kept for ever
    keys/current     the id of the key that signs

Invariants: private files are read by their owner alone; a key is on disk before ``current`` names it; no key
is ever deleted or replaced, a rotation adds one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.store.log.files import put
from sandbox.store.log.note import NoteError, PublicKey, Signer

CURRENT: Final = "current"


class Keys:
    """The keys in a folder.  Raises ``Refusal`` with ``Code.LOG_KEY`` wherever they cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: tuple[int, Signer] | None = None

    @property
    def present(self) -> bool:
        """Whether there is a key to sign with."""
        return (self._folder / CURRENT).exists()

    def save(self, signer: Signer) -> None:
        """Keep a key, durably.  It does not sign before ``activate``."""
        id = signer.public.id.hex()
        try:
            put(self._folder / f"{id}.key", signer.text.encode() + b"\n", durable=True)
            put(self._folder / f"{id}.vkey", signer.public.text.encode() + b"\n", durable=True)
        except OSError:
            raise refuse(Code.LOG_KEY, "it cannot be written") from None

    def activate(self, key: PublicKey) -> None:
        """Sign with this key from now on; gateways that run see it."""
        try:
            put(self._folder / CURRENT, key.id.hex().encode() + b"\n", durable=True)
        except OSError:
            raise refuse(Code.LOG_KEY, "it cannot be written") from None

    def adopt(self, origin: str) -> None:
        """Sign with the only key of this name that was saved and is not active.

        Its owner died before it could, or is another process that is about to.  Of several, the log cannot
        tell which was in use.
        """
        named = [key for key in self._saved() if key.name == origin]
        if len(named) == 1 and not self.present:
            self.activate(named[0])

    def waiting(self, name: str) -> Signer | None:
        """A key of this name that was saved, whether it signs or not; ``None`` if there is none."""
        try:
            for key in self._saved():
                if key.name == name:
                    return Signer.parse((self._folder / f"{key.id.hex()}.key").read_text(encoding="utf-8"))
        except (OSError, NoteError, UnicodeDecodeError):
            raise refuse(Code.LOG_KEY, "its file is damaged") from None
        return None

    def signer(self) -> Signer:
        """The key that signs now.  Costs one look at a file's time unless it changed."""
        file = self._folder / CURRENT
        try:
            stamp = file.stat().st_mtime_ns
            if self._known is None or self._known[0] != stamp:
                id = file.read_text(encoding="ascii").strip()
                text = (self._folder / f"{id}.key").read_text(encoding="utf-8")
                self._known = (stamp, Signer.parse(text))
        except OSError:
            raise refuse(Code.LOG_KEY, "it is not here") from None
        except (NoteError, UnicodeDecodeError):
            raise refuse(Code.LOG_KEY, "its file is damaged") from None
        return self._known[1]

    def public(self) -> tuple[PublicKey, ...]:
        """Every key that ever signed, the current one first."""
        current = self.signer().public
        return (current, *(key for key in self._saved() if key != current))

    def _saved(self) -> list[PublicKey]:
        try:
            texts = [file.read_text(encoding="utf-8") for file in sorted(self._folder.glob("*.vkey"))]
            return [PublicKey.parse(text.strip()) for text in texts]
        except (OSError, NoteError, UnicodeDecodeError):
            raise refuse(Code.LOG_KEY, "a public key is damaged") from None
