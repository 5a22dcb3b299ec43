#!/usr/bin/env python3
"""Verify receipts and exports of a Data Sandbox audit log, with nothing of the Data Sandbox.

    python3 verify.py STATE FILE... [--key VKEY]

STATE is the verifier's own memory (made on first use): the keys it trusts and the last checkpoint it held.
FILE is a receipt, a consistency proof, an export (JSON Lines) or a bare checkpoint, taken in the order given.
A first key must come by a way that the log's keeper does not control; a rotation's receipt brings the next.
Exit code 0: everything verified.  1: something did not, and its name is printed; STATE is as it was.

Formats: RFC 6962 and RFC 9162 (tree and proofs), C2SP signed-note and tlog-checkpoint, docs/audit-log.md.
Needs Python 3.11 and the package `cryptography`.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    """What does not verify, in words."""


def need(condition, words):
    if not condition:
        raise Bad(words)


def digest(name, data):
    need(name in ("sha256", "sm3"), "an unknown hash function")
    state = hashes.Hash(hashes.SHA256() if name == "sha256" else hashes.SM3())
    state.update(data)
    return state.finalize()


def leaf(name, entry):
    return digest(name, b"\x00" + entry)


def node(name, left, right):
    return digest(name, b"\x01" + left + right)


def read_key(text):
    name, key_id, data = text.strip().split("+", 2)
    (raw,) = b64([data])
    known = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    need(len(raw) == 33 and raw[0] == 1 and key_id == known, "a key is malformed")
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(raw[1:])


def read_checkpoint(note, keys):
    """Origin, size and root of a signed note; at least one trusted key must have signed it, none wrongly."""
    text, _, lines = note.rpartition("\n\n")
    text, signed = text + "\n", False
    for line in lines.splitlines():
        dash, name, value = line.split(" ")
        (data,) = b64([value])
        for known in map(read_key, keys):
            if dash == "—" and known[:2] == (name, data[:4]):
                try:
                    known[2].verify(data[4:], text.encode())
                except InvalidSignature:
                    raise Bad("a forged checkpoint: its signature is wrong") from None
                signed = True
    need(signed, "a checkpoint that no trusted key signed")
    origin, size, root = text.split("\n")[:3]
    need(size.isdecimal() and str(int(size)) == size, "a checkpoint is malformed")
    return origin, int(size), b64([root])[0]


def check_inclusion(name, index, size, found, proof, root):  # RFC 9162, 2.1.3.2
    need(0 <= index < size, "an index beyond the checkpoint")
    place, last = index, size - 1
    for sibling in proof:
        need(last > 0, "a proof that is too long")
        if place % 2 or place == last:
            found = node(name, sibling, found)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            found = node(name, found, sibling)
        place, last = place // 2, last // 2
    need(last == 0 and found == root, "an entry that is not in the checkpoint's tree")


def check_consistency(name, old, new, old_root, new_root, proof):  # RFC 9162, 2.1.4.2
    words = "a log that does not begin with the checkpoint held"
    need(0 <= old <= new, "a log that is shorter than the checkpoint held")
    if old in (0, new):
        need(not proof and (old == 0 or old_root == new_root), words)
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else proof
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place // 2, last // 2
    need(path, words)
    first = second = path[0]
    for sibling in path[1:]:
        need(last > 0, words)
        if place % 2 or place == last:
            first, second = node(name, sibling, first), node(name, sibling, second)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            second = node(name, second, sibling)
        place, last = place // 2, last // 2
    need(last == 0 and first == old_root and second == new_root, words)


def check_entry(name, index, entry, salt, personal):
    """The entry stands where it says, and its personal part, if it is there, is what it commits to."""
    fields = json.loads(entry)
    need(entry == canonical(fields), "an entry that is not canonical JSON")
    need(fields["seq"] == index, "an entry in another's place")
    need((salt is None) == (personal is None), "half of a personal part")
    if salt is not None:
        opened = bytes.fromhex(salt)
        need(opened.hex() == salt, "a salt that is not plain hexadecimal")
        bound = digest(name, opened + personal.encode()).hex()
        need(bound == fields["commitment"], "a personal part that is not what was committed to")
        if fields["kind"] == "key":
            return json.loads(json.loads(personal)["payload"])["key"]
    return None


def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def b64(texts):
    found = [base64.b64decode(text, validate=True) for text in texts]
    need([base64.b64encode(data).decode() for data in found] == list(texts), "base64 with stray bits")
    return found


def verify_receipt(told, state):
    origin, size, root = read_checkpoint(told["checkpoint"], state["keys"])
    new = check_entry(told["hash"], told["index"], told["entry"], told["salt"], told["personal"])
    found = leaf(told["hash"], told["entry"].encode())
    check_inclusion(told["hash"], told["index"], size, found, b64(told["proof"]), root)
    same_log(origin, told["hash"], state)
    if state["checkpoint"]:
        held = read_checkpoint(state["checkpoint"], state["keys"])
        need(held[1] != size or held[2] == root, "two logs of one name: this is not the one that was held")
    if new is not None and new not in state["keys"]:
        need(read_key(new)[0] == origin, "a rotation to another log's key")
        state["keys"].append(new)
    return f"entry {told['index']} of {origin}, in the log of {size} entries"


def verify_consistency(told, state):
    origin, size, root = read_checkpoint(told["checkpoint"], state["keys"])
    same_log(origin, told["hash"], state)
    old, old_root = 0, b""
    if state["checkpoint"]:
        _, old, old_root = read_checkpoint(state["checkpoint"], state["keys"])
    need(told["from"] == old, f"a proof from {told['from']} entries, where {old} are held")
    check_consistency(told["hash"], old, size, old_root, root, b64(told["proof"]))
    state["checkpoint"] = told["checkpoint"]
    return f"{origin} grew from {old} to {size} entries"


def verify_export(lines, state):
    first = next(lines)
    head = json.loads(first)
    name = head["hash"]
    need(first == canonical(head) + "\n", "a line that is not canonical JSON")
    need(head["start"] == 0, "an export that does not begin at the first entry")
    for rotation in head["rotations"]:
        verify_receipt(rotation, state)
    origin, size, root = read_checkpoint(head["checkpoint"], state["keys"])
    same_log(origin, name, state)
    need((head["origin"], head["size"]) == (origin, size), "a head that is not its checkpoint's")
    need(all(key in state["keys"] for key in head["keys"]), "a key that no trusted key vouches for")
    held = read_checkpoint(state["checkpoint"], state["keys"])[1:] if state["checkpoint"] else (0, None)
    need(held[0] <= size, "a log that is shorter than the checkpoint held")
    stack, count, purged = [], 0, 0  # roots of complete subtrees, largest first
    for line in lines:
        told = json.loads(line)
        entry, personal = canonical(told["entry"]), told["personal"]
        need(line == canonical(told) + "\n", "a line that is not canonical JSON")
        check_entry(name, count, entry, told["salt"], None if personal is None else canonical(personal))
        purged, found, height = purged + (personal is None), leaf(name, entry.encode()), 0
        while stack and stack[-1][0] == height:
            found, height = node(name, stack.pop()[1], found), height + 1
        stack.append((height, found))
        count += 1
        if count == held[0]:
            need(root_of(name, stack) == held[1], "a log that does not begin with the checkpoint held")
    need(count == size, f"{count} entries, where {size} were signed")
    need(root_of(name, stack) == root, "entries that are not those that were signed")
    state["checkpoint"] = head["checkpoint"]
    return f"all {count} entries of {origin}; the personal part of {purged} was deleted"


def root_of(name, stack):
    if not stack:
        return digest(name, b"")
    found = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        found = node(name, left, found)
    return found


def same_log(origin, name, state):
    need(state["origin"] in ("", origin) and state["hash"] in ("", name), "another log")
    state["origin"], state["hash"] = origin, name


def verify(path, state):
    with open(path, encoding="utf-8", newline="\n") as file:
        first = file.readline()
        if not first.startswith("{"):
            text = first + file.read()
            origin, size, root = read_checkpoint(text, state["keys"])
            same_log(origin, state["hash"], state)
            if state["checkpoint"]:
                held = read_checkpoint(state["checkpoint"], state["keys"])
                need(held[1:] == (size, root), "a checkpoint of another size needs a consistency proof")
            state["checkpoint"] = text
            return f"checkpoint of {origin} at {size} entries"
        file.seek(0)
        kind = json.loads(first).get("format")
        if kind == "data-sandbox/log/1":
            return verify_export(iter(file), state)
        told = json.loads(file.read())
    kinds = {"data-sandbox/receipt/1": verify_receipt, "data-sandbox/consistency/1": verify_consistency}
    need(kind in kinds, "an unknown format")
    return kinds[kind](told, state)


def main(arguments):
    parser = argparse.ArgumentParser(description="Verify receipts and exports of an audit log.")
    parser.add_argument("state", type=pathlib.Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--key", action="append", default=[], help="a verifier key that you trust")
    told = parser.parse_args(arguments)
    state = {"origin": "", "hash": "", "keys": [], "checkpoint": ""}
    if told.state.exists():
        state = json.loads(told.state.read_text(encoding="utf-8"))
    state["keys"] += [key for key in told.key if key not in state["keys"]]
    for file in told.files:
        try:
            print(f"verified: {verify(file, state)}")
        except Bad as bad:
            print(f"NOT VERIFIED: {file}: {bad}")
            return 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
            print(f"NOT VERIFIED: {file}: it cannot be read")
            return 1
    fresh = told.state.with_name(told.state.name + ".new")
    fresh.write_text(json.dumps(state, indent=1), encoding="utf-8")
    os.replace(fresh, told.state)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
