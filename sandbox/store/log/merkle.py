"""Merkle tree hashes, inclusion and consistency proofs (pure).

After RFC 6962, 2.1: ``MTH``, ``PATH`` and ``PROOF`` as defined there, over a function that knows the complete
subtrees; checking as in RFC 9162, 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sandbox.store.log.hashing import Hash

Node = Callable[[int, int], bytes]
"""The hash of the complete subtree of ``2 ** height`` leaves that is the ``index``-th of its height."""

Proof = tuple[bytes, ...]


def root(size: int, node: Node, hash: Hash) -> bytes:
    """The Merkle Tree Hash of the first ``size`` leaves."""
    return _range(0, size, node, hash) if size else hash.empty


def inclusion(index: int, size: int, node: Node, hash: Hash) -> Proof:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves, from its sibling upwards."""
    if not 0 <= index < size:
        raise ValueError("a leaf is proved in a tree that holds it")
    return tuple(_path(index, 0, size, node, hash))


def consistency(old: int, new: int, node: Node, hash: Hash) -> Proof:
    """That the tree of ``new`` leaves begins with that of ``old`` leaves.  Empty for 0 or equal sizes."""
    if not 0 <= old <= new:
        raise ValueError("a tree is consistent with earlier ones")
    return tuple(_subproof(old, 0, new, True, node, hash)) if old else ()


def _range(start: int, end: int, node: Node, hash: Hash) -> bytes:
    """The hash of leaves ``start`` to ``end``; ``start`` is a multiple of a power of two that covers them."""
    count = end - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(count)
    return hash.node(_range(start, middle, node, hash), _range(middle, end, node, hash))


def _split(count: int) -> int:
    """The largest power of two below ``count``, which is 2 or more."""
    return int(1 << ((count - 1).bit_length() - 1))


def _path(index: int, start: int, end: int, node: Node, hash: Hash) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, node, hash), _range(middle, end, node, hash)]
    return [*_path(index, middle, end, node, hash), _range(start, middle, node, hash)]


def _subproof(old: int, start: int, end: int, whole: bool, node: Node, hash: Hash) -> list[bytes]:
    """``old`` counts from leaf 0; ``whole``: the old tree's own root is known to who checks."""
    if old == end:
        return [] if whole else [_range(start, end, node, hash)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_subproof(old, start, middle, whole, node, hash), _range(middle, end, node, hash)]
    return [*_subproof(old, middle, end, False, node, hash), _range(start, middle, node, hash)]


def root_of_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], hash: Hash) -> bytes | None:
    """The root that an audit path leads to, or ``None`` if it cannot be one of this index and size."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = hash.node(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hash.node(found, sibling)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def consistent(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes], hash: Hash
) -> bool:
    """Whether ``proof`` shows that the new tree begins with the old one."""
    if old in {0, new}:
        return not proof and old_root == (hash.empty if old == 0 else new_root)
    if not 0 < old < new or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = hash.node(sibling, first), hash.node(sibling, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = hash.node(second, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and (first, second) == (old_root, new_root)
