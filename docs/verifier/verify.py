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
import functools
import json
import os
import pathlib
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    """What does not verify, in words."""


def need(condition, words):
    if not condition:
        raise Bad(words)


def digest(name, data):
    state = hashes.Hash({"sha256": hashes.SHA256, "sm3": hashes.SM3}[name]())
    state.update(data)
    return state.finalize()


def node(name, left, right):
    return digest(name, b"\x01" + left + right)


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 with stray bits")
    return data


def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def read_key(text):
    name, key_id, data = text.strip().split("+", 2)
    raw = unbase64(data)
    known = digest("sha256", name.encode() + b"\n" + raw)[:4]
    need(len(raw) == 33 and raw[0] == 1 and key_id == known.hex(), "a key is malformed")
    return name, known, Ed25519PublicKey.from_public_bytes(raw[1:])


def read_checkpoint(note, keys):
    """Origin, size and root of a signed note; at least one trusted key must have signed it, none wrongly."""
    text, _, lines = note.rpartition("\n\n")
    text, signed = text + "\n", False
    for dash, name, value in (line.split(" ") for line in lines.splitlines()):
        data = unbase64(value)
        for key_name, key_id, key in map(read_key, keys):
            if (dash, name, data[:4]) == ("—", key_name, key_id):
                key.verify(data[4:], text.encode())
                signed = True
    need(signed, "a checkpoint that no trusted key signed")
    origin, size, root = text.split("\n")[:3]
    return origin, int(size), unbase64(root)


def held(state):
    return read_checkpoint(state["checkpoint"], state["keys"])[1:] if state["checkpoint"] else (0, None)


def head(note, name, state):
    """Size and root of a checkpoint, which must be of the log that was met before."""
    origin, size, root = read_checkpoint(note, state["keys"])
    need(state["origin"] in ("", origin) and state["hash"] in ("", name), "another log")
    need(held(state)[0] != size or held(state)[1] in (None, root), "two logs of one name: not the one held")
    state["origin"], state["hash"] = origin, name
    return size, root


def climb(name, place, last, found, path):
    """The roots, of an older tree and a newer, that a proof leads to (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    older = newer = found
    for sibling in map(unbase64, path):
        need(last > 0, "a proof that is too long")
        if place % 2 or place == last:
            older, newer = node(name, sibling, older), node(name, sibling, newer)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            newer = node(name, newer, sibling)
        place, last = place // 2, last // 2
    need(last == 0, "a proof that is too short")
    return older, newer


def read_entry(name, index, entry, salt, personal):
    """The leaf of the entry that stands there; its personal part, if not deleted, is what it commits to."""
    fields = json.loads(entry)
    need(entry == canonical(fields), "an entry that is not canonical JSON")
    need(fields["seq"] == index, "an entry in another's place")
    if (salt, personal) != (None, None):
        bound = digest(name, bytes.fromhex(salt) + personal.encode()).hex()
        same = bytes.fromhex(salt).hex() == salt and bound == fields["commitment"]
        need(same, "a personal part that is not what was committed to")
    return digest(name, b"\x00" + entry.encode())


def receipt(told, state):
    name, index, entry, personal = told["hash"], told["index"], told["entry"], told["personal"]
    size, root = head(told["checkpoint"], name, state)
    leaf = read_entry(name, index, entry, told["salt"], personal)
    need(0 <= index < size, "an index beyond the checkpoint")
    need(climb(name, index, size - 1, leaf, told["proof"])[1] == root, "an entry that is not in the log")
    if personal is not None and json.loads(entry)["kind"] == "key":  # a rotation: trusted from here on
        key = json.loads(json.loads(personal)["payload"])["key"]
        need(read_key(key)[0] == state["origin"], "a rotation to another log's key")
        state["keys"] += [] if key in state["keys"] else [key]
    return f"entry {index} of {state['origin']}, in the log of {size} entries"


def check_growth(name, old, old_root, new, new_root, proof):
    need(old <= new, "a log that is shorter than the checkpoint held")
    if 0 < old < new:
        edge = old & -old  # leaves of the older tree's last complete subtree: the proof begins with its root
        first, rest = (old_root, proof) if edge == old else (unbase64(proof[0]), proof[1:])
        roots = climb(name, (old - 1) // edge, (new - 1) // edge, first, rest)
        need(roots == (old_root, new_root), "a log that does not begin with the checkpoint held")


def consistency(told, state):
    old, old_root = held(state)
    size, root = head(told["checkpoint"], told["hash"], state)
    need(told["from"] == old, f"a proof from {told['from']} entries, where {old} are held")
    check_growth(told["hash"], old, old_root, size, root, told["proof"])
    state["checkpoint"] = told["checkpoint"]
    return f"{state['origin']} grew from {old} to {size} entries"


def export(told, lines, state):
    """Every entry hashed anew.  ``edge`` holds the roots of complete subtrees, largest first."""
    (old, old_root), name, count, purged, edge = held(state), told["hash"], 0, 0, []
    for rotation in told["rotations"]:
        receipt(rotation, state)
    size, root = head(told["checkpoint"], name, state)
    same = (told["origin"], told["size"], told["start"]) == (state["origin"], size, 0)
    need(same, "a first line that is not its checkpoint's")
    need(all(key in state["keys"] for key in told["keys"]), "a key that no trusted key vouches for")
    need(old <= size, "a log that is shorter than the checkpoint held")
    for line in lines:
        row = json.loads(line)
        need(line == canonical(row) + "\n", "a line that is not canonical JSON")
        personal = None if row["personal"] is None else canonical(row["personal"])
        edge.append(read_entry(name, count, canonical(row["entry"]), row["salt"], personal))
        count, purged = count + 1, purged + (personal is None)
        for _ in range((count & -count).bit_length() - 1):  # the subtrees that this entry completes
            edge[-2:] = [node(name, *edge[-2:])]
        if count in (old, size):
            found = functools.reduce(lambda right, left: node(name, left, right), reversed(edge))
            need(count != old or found == old_root, "a log that does not begin with the checkpoint held")
            need(count != size or found == root, "entries that are not those that were signed")
    need(count == size, f"{count} entries, where {size} were signed")
    state["checkpoint"] = told["checkpoint"]
    return f"all {count} entries of {state['origin']}; the personal part of {purged} was deleted"


def checkpoint(note, state):
    size, _ = head(note, state["hash"], state)
    need(not state["checkpoint"] or held(state)[0] == size, "another size: a consistency proof is needed")
    state["checkpoint"] = note
    return f"checkpoint of {state['origin']} at {size} entries"


def verify(path, state):
    with open(path, encoding="utf-8", newline="\n") as file:
        first = file.readline()
        if not first.startswith("{"):
            return checkpoint(first + file.read(), state)
        told = json.loads(first)
        kind = told["format"]
        if kind == "data-sandbox/log/1":
            need(first == canonical(told) + "\n", "a line that is not canonical JSON")
            return export(told, file, state)
        need(not file.read(), "more than one line")
        kinds = {"data-sandbox/receipt/1": receipt, "data-sandbox/consistency/1": consistency}
        return kinds[kind](told, state)


def main(arguments):
    parser = argparse.ArgumentParser(description="Verify receipts and exports of an audit log.")
    parser.add_argument("state", type=pathlib.Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--key", action="append", default=[], help="a verifier key that you trust")
    told = parser.parse_args(arguments)
    known = json.loads(told.state.read_text(encoding="utf-8")) if told.state.exists() else {}
    state = {"origin": "", "hash": "", "keys": [], "checkpoint": ""} | known
    state["keys"] += [key for key in told.key if key not in state["keys"]]
    for file in told.files:
        try:
            print(f"verified: {verify(file, state)}")
        except Exception as error:  # whatever it is: what cannot be read is not verified
            words = error if isinstance(error, Bad) else "it is forged or cannot be read"
            print(f"NOT VERIFIED: {file}: {words}")
            return 1
    fresh = told.state.with_name(told.state.name + ".new")
    fresh.write_text(json.dumps(state, indent=1), encoding="utf-8")
    os.replace(fresh, told.state)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
