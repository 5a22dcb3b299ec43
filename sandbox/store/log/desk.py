"""What people may ask of the log's proofs, and what is entered about who came.

Invariants: each verb checks the role; reading the whole log, exporting it and purging leave an entry before
anything is handed out or deleted.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import Person, Receipt
from sandbox.policy.roles import Action, check, may
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.log import retention, rotation
from sandbox.store.log.export import Format, lines
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.log.whole import Verified
from sandbox.store.log.witness import Delivery, Witness

VISIT: Final = dt.timedelta(hours=1)
"""How often one person's coming is entered, at most."""

KNOCK: Final = dt.timedelta(minutes=1)
"""How often rejected credentials are entered, at most: whoever sends them could fill the log."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days personal parts of entries, and kept answers, are kept.  0: for ever."""

    personal_days: int = 0
    answers_days: int = 0


class Desk:
    """See the module.  Thread-safe."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        answers: Answers,
        log: TransparencyLog,
        *,
        witness: Witness,
        kept: Retention,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._database = database
        self._audit = audit
        self._answers = answers
        self._log = log
        self._witness = witness
        self._kept = kept
        self._now = now
        self._came: dict[str, dt.datetime] = {}
        self._lock = threading.Lock()

    def receipt(self, person: Person, seq: int) -> Receipt:
        """Proof of one entry: any for the bureau, their organisation's for others; else ``NOT_FOUND``."""
        entry = self._audit.entry(seq)
        mine = entry is not None and entry.organisation == person.organisation
        if entry is None or not (mine or may(person, Action.ALL_ENTRIES)):
            raise refuse(Code.NOT_FOUND, f"entry {seq}")
        return self._log.receipt(seq)

    def head(self) -> dict[str, object]:
        """The log's name, hash function, keys (the current one first), rotations, size and signed head."""
        signed = self._log.checkpoint()
        return {
            "origin": self._log.origin,
            "hash": self._log.hash.name,
            "keys": [key.text for key in self._log.keys.public()],
            "rotations": list(rotation.rotations(self._log)),
            "size": self._log.signed_here(signed).size,
            "checkpoint": signed,
        }

    def consistency(self, old: int) -> Mapping[str, object]:
        """Proof that the log begins with its first ``old`` entries."""
        return self._log.consistency(old)

    def held(self, signed: str) -> Mapping[str, object]:
        """Proof that the log begins with a head that somebody held."""
        return self._log.consistency(self._log.holds(signed).size)

    def publish(self) -> str:
        """Put the head in place for others to read; the head."""
        return self._log.publish()

    def verify(self, person: Person, held: str = "") -> Verified:
        """Check the whole log; see ``TransparencyLog.verify``.  ``Action.VERIFY``'s."""
        check(person, Action.VERIFY)
        found = self._log.verify(held)
        self._enter(Event.READ, person, what="verify", entries=found.entries, tiles=found.tiles)
        self._log.publish()
        return found

    def export(self, person: Person, form: Format, start: int = 0) -> Iterator[str]:
        """The log's lines from entry ``start`` on.  ``Action.EXPORT``'s; on record before the first line."""
        check(person, Action.EXPORT)
        self._enter(Event.EXPORT, person, format=form.value, start=start)
        return lines(self._database, self._log.hash, form, self.head(), start)

    def rotate(self, person: Person) -> Mapping[str, object]:
        """Sign with a new key; the receipt that vouches for it.  The bureau's alone."""
        check(person, Action.ROTATE_KEY)
        return rotation.rotate(self._log, self._audit, self._now(), person)

    def witness(self, person: Person, *, push: bool) -> tuple[Delivery, ...]:
        """What each witness has, after handing out the head if ``push``.  ``Action.VERIFY``'s."""
        check(person, Action.VERIFY)
        return self._witness.push(self._now()) if push else self._witness.state()

    def purge(self, person: Person | None = None) -> dict[str, int]:
        """Delete what is older than is kept; of how many entries and answers.  Bureau, or the clock."""
        if person is not None:
            check(person, Action.PURGE)
        now, gone = self._now(), {"personal": 0, "answers": 0}
        if self._kept.personal_days:
            before = now - dt.timedelta(days=self._kept.personal_days)
            gone["personal"] = retention.purge_personal(self._database, self._audit, before, now, person)
        if self._kept.answers_days:
            before = now - dt.timedelta(days=self._kept.answers_days)
            told = (self._database, self._answers, self._audit)
            gone["answers"] = retention.purge_answers(*told, before, now, person)
        return gone

    def came(self, person: Person | None) -> None:
        """Enter that somebody showed a token at a door; ``None``: one that is not valid."""
        now = self._now()
        name, wait = ("", KNOCK) if person is None else (person.name, VISIT)
        with self._lock:
            last = self._came.get(name)
            if last is not None and dt.timedelta(0) <= now - last < wait:
                return
            self._came[name] = now
        self._enter(Event.LOGIN, person, decision="denied" if person is None else "granted")

    def locked(self, name: str) -> None:
        """Enter that wrong passwords locked an account."""
        self._enter(Event.ACCOUNT, None, decision="denied", locked=name)

    def notebook(self, person: Person, what: str) -> None:
        """Enter what became of a person's notebooks: one word."""
        self._enter(Event.NOTEBOOK, person, what=what)

    def started(self, version: str, layers: Sequence[str] = ()) -> None:
        """Enter that a service began, what had to be made again, and the layers around its workers."""
        self._enter(Event.START, None, version=version, repaired=self._log.repaired, layers=list(layers))

    def _enter(self, kind: Event, person: Person | None, decision: str = "done", **facts: object) -> None:
        self._audit.append(
            kind,
            time=self._now(),
            person="" if person is None else person.name,
            organisation="" if person is None else person.organisation,
            decision=decision,
            payload=facts,
        )
