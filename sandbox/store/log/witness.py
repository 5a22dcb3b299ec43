"""Witnessing: signed heads handed to others, so that nobody can rewrite history unseen.

A witness is a file (the head is put there), or an address that speaks C2SP tlog-witness: it is sent the head
with a proof that it begins with the head that the witness holds, and may answer with its cosignature.

Invariants: nothing here is waited for by a query; what could not be delivered stays pending and is tried
again; ``state`` says what is pending, since when, and why, in constant words.
"""

from __future__ import annotations

import datetime as dt
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Final

from sandbox.errors import Refusal
from sandbox.store.log import checkpoint, note
from sandbox.store.log.files import put
from sandbox.store.log.note import NoteError
from sandbox.store.log.receipt import encoded
from sandbox.store.log.transparency import TransparencyLog

STATE: Final = "witness.json"
SIZE_TYPE: Final = "text/x.tlog.size"
_MOST_REPLY: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one witness has: ``size`` entries since ``time``; ``trouble`` names why it has no more, or ""."""

    place: str
    size: int = 0
    time: str = ""
    trouble: str = ""
    cosigned: str = ""


class Witness:
    """All witnesses of a log.  ``places``: paths, and addresses beginning with ``http``."""

    def __init__(self, log: TransparencyLog, places: Iterable[str], timeout_s: float = 10.0) -> None:
        self._log = log
        self._places = tuple(places)
        self._timeout_s = timeout_s
        self._file = log.folder / STATE

    def state(self) -> tuple[Delivery, ...]:
        """What each witness has."""
        known = self._read()
        return tuple(known.get(place, Delivery(place)) for place in self._places)

    def push(self, now: dt.datetime) -> tuple[Delivery, ...]:
        """Publish the head and hand it to every witness that has an older one; what each has then."""
        head = self._log.publish()
        size = self._log.signed_here(head).size
        found = tuple(
            before if before.size == size and not before.trouble else self._deliver(before, head, size, now)
            for before in self.state()
        )
        told = {delivery.place: asdict(delivery) for delivery in found}
        put(self._file, json.dumps(told, indent=1).encode())
        return found

    def _deliver(self, before: Delivery, head: str, size: int, now: dt.datetime) -> Delivery:
        done = replace(before, size=size, time=now.isoformat(), trouble="")
        if not before.place.startswith("http"):
            trouble = self._put(Path(before.place), head, size)
            return replace(before, trouble=trouble) if trouble else done
        trouble, reply = self._post(before.place, before.size, head)
        if trouble == "conflict" and reply.isdigit() and int(reply) <= size:
            trouble, reply = self._post(before.place, int(reply), head)  # it holds another head of ours
        return replace(before, trouble=trouble) if trouble else replace(done, cosigned=reply)

    def _put(self, file: Path, head: str, size: int) -> str:
        """Put the head there; the trouble in a word.  A head that says more than ours is left as it is."""
        with suppress(OSError, UnicodeDecodeError, NoteError, Refusal):  # absent, or it proves nothing
            there = file.read_text(encoding="utf-8")
            if checkpoint.parse(note.body(there)).origin != self._log.origin:
                return "conflict"
            if self._log.signed_here(there).size > size:
                return "conflict"
        try:
            put(file, head.encode())
        except OSError:
            return "not writable"
        return ""

    def _post(self, url: str, old: int, head: str) -> tuple[str, str]:
        """C2SP tlog-witness, add-checkpoint; the trouble in a word, and what was answered."""
        proof = self._log.proof(old, self._log.signed_here(head).size)
        body = "".join(f"{line}\n" for line in (f"old {old}", *encoded(proof))) + f"\n{head}"
        try:
            request = urllib.request.Request(
                url, body.encode(), {"content-type": "text/plain; charset=utf-8"}
            )
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                return "", response.read(_MOST_REPLY).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 409 and error.headers.get_content_type() == SIZE_TYPE:
                    return "conflict", error.read(20).decode("ascii", "replace").strip()
                return f"HTTP {error.code}", ""
        except (OSError, ValueError, HTTPException):
            return "unreachable", ""

    def _read(self) -> Mapping[str, Delivery]:
        """What is noted; nothing where the file is absent or damaged: then all is handed out again."""
        try:
            told = json.loads(self._file.read_bytes())
            return {place: Delivery(**facts) for place, facts in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
