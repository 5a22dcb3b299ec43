"""Merkle trees: published roots, and proofs against the recursive definition of RFC 6962, 2.1."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sandbox.store.log import merkle
from sandbox.store.log.hashing import HASHES, SHA256, SM3, Hash

EIGHT = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
MOST = 70


def naive(leaves: Sequence[bytes], hash: Hash) -> bytes:
    """MTH, as the RFC writes it."""
    if not leaves:
        return hash.empty
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hash.node(naive(leaves[:half], hash), naive(leaves[half:], hash))


def node_of(leaves: Sequence[bytes], hash: Hash) -> merkle.Node:
    return lambda height, index: naive(leaves[index << height : (index + 1) << height], hash)


def leaves_of(count: int, hash: Hash) -> list[bytes]:
    return [hash.leaf(b"%d" % number) for number in range(count)]


@pytest.mark.parametrize(
    ("hash", "expected"),
    [
        (SHA256, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        (SM3, "bc48ba7a709184b5f2a631e1adeb8dc2a0d4c018c1d6cc89b5664fe154c93b38"),
    ],
)
def test_the_root_of_the_standard_eight_leaves(hash: Hash, expected: str) -> None:
    leaves = [hash.leaf(entry) for entry in EIGHT]
    assert merkle.root(8, node_of(leaves, hash), hash).hex() == expected


def test_known_digests() -> None:
    assert SHA256.empty.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # GB/T 32905-2016, A.1
    assert SM3.digest(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert {name: known.name for name, known in HASHES.items()} == {"sha256": "sha256", "sm3": "sm3"}


@pytest.mark.parametrize("hash", [SHA256, SM3], ids=lambda hash: str(hash.name))
def test_roots_are_those_of_the_definition(hash: Hash) -> None:
    leaves = leaves_of(MOST, hash)
    for size in range(MOST + 1):
        assert merkle.root(size, node_of(leaves, hash), hash) == naive(leaves[:size], hash)


def test_every_inclusion_proof_holds_for_its_own_leaf_and_no_other() -> None:
    leaves = leaves_of(MOST, SHA256)
    roots = [naive(leaves[:size], SHA256) for size in range(MOST + 1)]
    for size in range(1, MOST + 1):
        node = node_of(leaves[:size], SHA256)
        for index in range(size):
            proof = merkle.inclusion(index, size, node, SHA256)
            assert merkle.root_of_inclusion(index, size, leaves[index], proof, SHA256) == roots[size]
            for other in {(index + 1) % size, size // 2} - {index}:
                assert merkle.root_of_inclusion(other, size, leaves[index], proof, SHA256) != roots[size]
            longer = (*proof, roots[size])
            assert merkle.root_of_inclusion(index, size, leaves[index], longer, SHA256) is None
            if proof:
                assert merkle.root_of_inclusion(index, size, leaves[index], proof[:-1], SHA256) is None


def test_every_consistency_proof_holds_between_its_own_sizes_only() -> None:
    leaves = leaves_of(MOST, SHA256)
    roots = [naive(leaves[:size], SHA256) for size in range(MOST + 1)]
    wrong = SHA256.digest(b"wrong")

    def holds(old: int, new: int, proof: Sequence[bytes], first: bytes, second: bytes) -> bool:
        return merkle.consistent(old, new, first, second, proof, SHA256)

    for new in range(MOST + 1):
        node = node_of(leaves[:new], SHA256)
        for old in range(new + 1):
            proof = merkle.consistency(old, new, node, SHA256)
            assert holds(old, new, proof, roots[old], roots[new])
            assert not holds(old, new, proof, wrong, roots[new])
            assert not holds(old, new, (*proof, wrong), roots[old], roots[new])
            if 0 < old < new:
                assert not holds(old, new, proof, roots[old], wrong)
                assert not holds(old, new, proof[:-1], roots[old], roots[new])
                assert not holds(old, new, (), roots[old], roots[new])
                assert not holds(new, old, proof, roots[new], roots[old])


def test_what_is_no_proof_is_refused() -> None:
    node = node_of(leaves_of(4, SHA256), SHA256)
    for index, size in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(ValueError, match="tree that holds it"):
            merkle.inclusion(index, size, node, SHA256)
        assert merkle.root_of_inclusion(index, size, b"", (), SHA256) is None
    for old, new in ((5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="earlier"):
            merkle.consistency(old, new, node, SHA256)
