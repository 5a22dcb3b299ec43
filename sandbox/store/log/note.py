"""Signed notes (C2SP signed-note) and the Ed25519 keys that sign them (pure but for making a key).

A note is a text, a blank line, and signature lines ``— <name> base64(key id || signature)``.  A key's text
forms are those of Go's ``sumdb/note``: ``<name>+<id>+<base64>`` is public, ``PRIVATE+KEY+…`` is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519: Final = 1
"""The signature type in a key's id and text."""

NAME: Final = re.compile(r"[^\s+\x00-\x20]+")
"""A key's name, and a log's."""

_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\n")
_MOST_LINES: Final = 100
_PRIVATE: Final = "PRIVATE+KEY+"


class NoteError(ValueError):
    """A text is no note, or no key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who signs: a name, and 32 bytes by RFC 8032."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256(name || 0x0A || 0x01 || key)."""
        told = self.name.encode() + b"\n" + bytes([ED25519]) + self.raw
        return hashlib.sha256(told).digest()[:4]

    @property
    def text(self) -> str:
        """The verifier key, to be handed to whoever checks."""
        return f"{self.name}+{self.id.hex()}+{_encoded(bytes([ED25519]) + self.raw)}"

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The key of ``text``.  Raises ``NoteError``."""
        name, id, rest = _parts(text)
        key = cls(name, rest)
        if key.id.hex() != id:
            raise NoteError("a key's id does not fit it")
        return key

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key signed ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key: 32 bytes by RFC 8032."""

    seed: bytes
    public: PublicKey

    @classmethod
    def of(cls, name: str, seed: bytes) -> Signer:
        """The key of this seed.  Raises ``NoteError`` for a name with spaces or plus signs."""
        if not NAME.fullmatch(name):
            raise NoteError("a key's name has no space and no plus sign")
        raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return cls(seed, PublicKey(name, raw))

    @classmethod
    def make(cls, name: str) -> Signer:
        """A fresh key.  Raises ``NoteError`` for a name with spaces or plus signs."""
        return cls.of(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """The key of ``text``.  Raises ``NoteError``."""
        if not text.startswith(_PRIVATE):
            raise NoteError("not a private key")
        name, id, seed = _parts(text.removeprefix(_PRIVATE).strip())
        signer = cls.of(name, seed)
        if signer.public.id.hex() != id:
            raise NoteError("a key's id does not fit it")
        return signer

    @property
    def text(self) -> str:
        """The key as its file holds it."""
        id = self.public.id.hex()
        return f"{_PRIVATE}{self.public.name}+{id}+{_encoded(bytes([ED25519]) + self.seed)}"

    def sign(self, text: str) -> str:
        """The signed note of ``text``, which ends with a newline."""
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n— {self.public.name} {_encoded(self.public.id + signature)}\n"


def body(note: str) -> str:
    """The text of a note, whoever signed it.  Raises ``NoteError`` where there is no signature's place."""
    text, blank, _ = note.rpartition("\n\n")
    if not blank:
        raise NoteError("not a signed note")
    return f"{text}\n"


def opened(note: str, keys: Iterable[PublicKey]) -> str:
    """The text of a note that one of ``keys`` signed.

    Raises ``NoteError`` if it is malformed, none of them signed, or a signature of one of them is wrong.
    """
    text, blank, lines = note.rpartition("\n\n")
    text += "\n"
    signatures = _LINE.findall(lines)
    whole = "".join(f"— {name} {value}\n" for name, value in signatures)
    if not blank or not signatures or whole != lines or len(signatures) > _MOST_LINES:
        raise NoteError("not a signed note")
    known = {(key.name, key.id): key for key in keys}
    good = False
    for name, value in signatures:
        data = _decoded(value)
        key = known.get((name, data[:4]))
        if key is None:
            continue
        if not key.verifies(text, data[4:]):
            raise NoteError("a signature is wrong")
        good = True
    if not good:
        raise NoteError("no known key signed this note")
    return text


def _parts(text: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    id, _, value = rest.partition("+")
    data = _decoded(value)
    if not NAME.fullmatch(name) or len(data) != 33 or data[0] != ED25519:
        raise NoteError("not a key")
    return name, id, data[1:]


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
