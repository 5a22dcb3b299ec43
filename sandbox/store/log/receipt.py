"""Receipts and consistency proofs as documents: JSON that verifies without us (pure)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Final

from sandbox.model import Receipt
from sandbox.store.log.hashing import Hash
from sandbox.store.log.merkle import Proof

RECEIPT: Final = "data-sandbox/receipt/1"
CONSISTENCY: Final = "data-sandbox/consistency/1"


def document(receipt: Receipt) -> Mapping[str, object]:
    """A receipt as JSON; hashes in base64, the salt in hexadecimal."""
    return {
        "format": RECEIPT,
        "hash": receipt.hash,
        "index": receipt.index,
        "entry": receipt.entry,
        "salt": None if receipt.salt is None else receipt.salt.hex(),
        "personal": receipt.personal,
        "proof": encoded(receipt.path),
        "checkpoint": receipt.checkpoint,
    }


def consistency(hash: Hash, old: int, proof: Proof, checkpoint: str) -> Mapping[str, object]:
    """That the log of ``checkpoint`` begins with its first ``old`` entries, as JSON."""
    return {
        "format": CONSISTENCY,
        "hash": hash.name,
        "from": old,
        "proof": encoded(proof),
        "checkpoint": checkpoint,
    }


def encoded(hashes: Iterable[bytes]) -> list[str]:
    """Hashes as base64."""
    return [base64.b64encode(found).decode() for found in hashes]
