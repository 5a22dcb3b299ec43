"""Checkpoints (C2SP tlog-checkpoint): a log's name, its size and its root, signed (pure)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sandbox.store.log import note
from sandbox.store.log.hashing import SIZE
from sandbox.store.log.note import NoteError, PublicKey, Signer

_BODY: Final = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log.  ``origin`` is its name, for ever."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The body that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, signer: Signer) -> str:
        """The signed note."""
        return signer.sign(self.text)


def opened(signed: str, origin: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint in a note that one of ``keys`` signed.  Raises ``NoteError`` for anything else."""
    found = parse(note.opened(signed, keys))
    if found.origin != origin:
        raise NoteError("a checkpoint of another log")
    return found


def parse(text: str) -> Checkpoint:
    """The checkpoint in a note's text, whoever signed it.  Raises ``NoteError``."""
    match = _BODY.fullmatch(text)
    if match is None:
        raise NoteError("not a checkpoint")
    root = base64.b64decode(match[3])
    assert len(root) == SIZE
    return Checkpoint(match[1], int(match[2]), root)
