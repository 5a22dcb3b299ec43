"""The hash functions that a log may be built with, chosen once, when it is begun."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes

SIZE: Final = 32
"""Bytes of a digest, of either function."""


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash function with the two domains of RFC 6962, 2.1: leaves and inner nodes never collide."""

    name: str
    digest: Callable[[bytes], bytes]

    def leaf(self, entry: bytes) -> bytes:
        """The leaf hash of one entry."""
        return self.digest(b"\x00" + entry)

    def node(self, left: bytes, right: bytes) -> bytes:
        """The hash of an inner node."""
        return self.digest(b"\x01" + left + right)

    @property
    def empty(self) -> bytes:
        """The root of a tree without entries."""
        return self.digest(b"")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sm3(data: bytes) -> bytes:
    state = hashes.Hash(hashes.SM3())
    state.update(data)
    return state.finalize()


SHA256: Final = Hash("sha256", _sha256)
SM3: Final = Hash("sm3", _sm3)
"""GB/T 32905-2016."""

HASHES: Final = {known.name: known for known in (SHA256, SM3)}
