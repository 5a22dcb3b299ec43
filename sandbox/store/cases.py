"""Cases: documents on their way into force, and incidents; every step an entry of the audit log.

Invariants:
- a step, the state it leads to and its entry of the log are one commit; the state is read inside it;
- an approval is over the SHA-256 of the exact text, and a text that changes has none;
- a text is in force only if the log's last word on its case says so of its very hash.

Which steps may follow, and who may take them, is ``policy.workflow``'s; this module keeps what was decided.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.policy.workflow.states import Kind, State, Verb
from sandbox.store.audit import AuditLog, Event
from sandbox.store.canonical import canonical
from sandbox.store.database import Database, micros, moment
from sandbox.store.schema import audit_personal, case_steps, cases


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case is about: its text, and what was read from it.

    ``document`` is the document's id; ``owners`` own the data that it names; ``people`` must approve it;
    ``until`` is the last day of a grant, else ``None``.
    """

    document: str
    text: str
    owners: tuple[str, ...] = ()
    people: int = 1
    until: dt.date | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return digest(self.text)


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it stands.  ``author`` and ``organisation`` wrote the text; ``time``: the last step."""

    id: int
    kind: Kind
    state: State
    subject: Subject
    author: str
    organisation: str
    hash: str
    time: dt.datetime

    @property
    def document(self) -> str:
        """The document's id."""
        return self.subject.document

    @property
    def text(self) -> str:
        """The document itself."""
        return self.subject.text


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case; ``seq`` is its entry of the log."""

    verb: Verb
    person: str
    organisation: str
    hash: str
    state: State
    note: str
    time: dt.datetime
    seq: int


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


class Cases:
    """All cases."""

    def __init__(self, database: Database, log: AuditLog) -> None:
        self._database = database
        self._log = log

    def open(
        self, kind: Kind, state: State, subject: Subject, by: Person, note: str, now: dt.datetime
    ) -> Case:
        """A new case in its first state."""
        facts = _facts(subject, by) | {"kind": kind.value, "state": state.value, "time": micros(now)}
        with self._database.write() as connection:
            key = connection.execute(insert(cases).values(**facts).returning(cases.c.id)).scalar_one()
            self._step(_case(_row(connection, key)), Verb.OPEN, by, note, now, text=subject.text)
            return _case(_row(connection, key))

    def move(
        self,
        case: Case,
        verb: Verb,
        state: State,
        by: Person,
        note: str,
        now: dt.datetime,
        *,
        subject: Subject | None = None,
    ) -> Case:
        """Take one step.  ``subject`` is the new text of a revision, which is then its author's.

        Refuses ``CASE_CHANGED`` if the case is no longer what the caller read.
        """
        change: dict[str, object] = {"state": state.value, "time": micros(now)}
        if subject is not None:
            change |= _facts(subject, by)
        same = (cases.c.id == case.id, cases.c.state == case.state.value, cases.c.hash == case.hash)
        with self._database.write() as connection:
            if connection.execute(update(cases).where(*same).values(**change)).rowcount == 0:
                raise refuse(Code.CASE_CHANGED, f"case {case.id}")
            moved = _case(_row(connection, case.id))
            text = None if subject is None else subject.text
            self._step(moved, verb, by, note, now, text=text)
            return moved

    def case(self, id: int) -> Case | None:
        """The case of this number, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(select(cases).where(cases.c.id == id)).first()
            return None if row is None else _case(row)

    def find(self, kind: Kind | None = None, state: State | None = None) -> tuple[Case, ...]:
        """Cases, newest first."""
        wanted = select(cases).order_by(cases.c.id.desc())
        if kind is not None:
            wanted = wanted.where(cases.c.kind == kind.value)
        if state is not None:
            wanted = wanted.where(cases.c.state == state.value)
        with self._database.read() as connection:
            return tuple(_case(row) for row in connection.execute(wanted))

    def steps(self, case: int) -> tuple[Step, ...]:
        """What was done, oldest first."""
        wanted = select(case_steps).where(case_steps.c.case_id == case).order_by(case_steps.c.id)
        with self._database.read() as connection:
            return tuple(_step(row) for row in connection.execute(wanted))

    def mark(self) -> int:
        """Grows with every step of any case: what was made of the cases holds as long as it stands."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(case_steps.c.id), 0))).scalar_one())

    def in_force(self) -> tuple[Case, ...]:
        """The cases in force, oldest first.

        Refuses ``LOG_DAMAGED`` if one of them is not what the log says: then nothing is in force.
        """
        with self._database.read() as connection:
            rows = connection.execute(_LAST)
            found = [(_case(row), json.loads(row.told or "{}")) for row in rows]
        for case, told in found:
            facts = {"case": case.id, "kind": case.kind.value, "document": case.document}
            facts |= {"state": State.IN_FORCE.value, "hash": digest(case.text)}
            if case.hash != facts["hash"] or {name: told.get(name) for name in facts} != facts:
                raise refuse(Code.LOG_DAMAGED, f"case {case.id}")
        return tuple(case for case, _ in found)

    def _step(
        self, case: Case, verb: Verb, by: Person, note: str, now: dt.datetime, *, text: str | None
    ) -> None:
        facts: dict[str, object] = {"case": case.id, "kind": case.kind.value, "document": case.document}
        facts |= {"verb": verb.value, "state": case.state.value, "hash": case.hash}
        if text is not None:
            facts["text"] = text
        seq = self._log.append(
            Event.CASE,
            time=now,
            request=f"case-{case.id}",
            person=by.name,
            organisation=by.organisation,
            grant=case.document if case.kind is Kind.GRANT else "",
            decision=case.state.value,
            text=note,
            payload=facts,
        )
        row = {"case_id": case.id, "verb": verb.value, "hash": case.hash, "state": case.state.value}
        row |= {"person": by.name, "organisation": by.organisation, "note": note}
        with self._database.write() as connection:
            connection.execute(insert(case_steps).values(**row, time=micros(now), seq=seq))


def approvals(steps: Iterable[Step], hash: str) -> frozenset[str]:
    """Who approved the text of this hash since it was last written."""
    found: set[str] = set()
    for step in steps:
        if step.verb in (Verb.OPEN, Verb.REVISE, Verb.SUBMIT):
            found.clear()
        elif step.verb is Verb.APPROVE and step.hash == hash:
            found.add(step.person)
    return frozenset(found)


def advised(steps: Iterable[Step], hash: str) -> frozenset[str]:
    """The organisations that gave their opinion on the text of this hash since it was last submitted."""
    found: set[str] = set()
    for step in steps:
        if step.verb in (Verb.OPEN, Verb.REVISE, Verb.SUBMIT):
            found.clear()
        elif step.verb is Verb.ADVISE and step.hash == hash:
            found.add(step.organisation)
    return frozenset(found)


_NEWEST: Final = (
    select(func.max(case_steps.c.seq)).where(case_steps.c.case_id == cases.c.id).scalar_subquery()
)
_LAST: Final = (
    select(cases, audit_personal.c.payload.label("told"))
    .select_from(cases.outerjoin(audit_personal, audit_personal.c.seq == _NEWEST))
    .where(cases.c.state == State.IN_FORCE.value)
    .order_by(cases.c.id)
)
"""Every case in force, with what the log says of its last step."""


def _facts(subject: Subject, by: Person) -> dict[str, object]:
    return {
        "document": subject.document,
        "text": subject.text,
        "hash": subject.hash,
        "owners": canonical(list(subject.owners)),
        "people": subject.people,
        "until": "" if subject.until is None else subject.until.isoformat(),
        "author": by.name,
        "organisation": by.organisation,
    }


def _row(connection: Connection, key: int) -> Row[Any]:
    return connection.execute(select(cases).where(cases.c.id == key)).one()


def _case(row: Row[Any]) -> Case:
    until = dt.date.fromisoformat(row.until) if row.until else None
    subject = Subject(row.document, row.text, tuple(json.loads(row.owners)), row.people, until)
    about = (row.id, Kind(row.kind), State(row.state), subject, row.author, row.organisation)
    return Case(*about, row.hash, moment(row.time))


def _step(row: Row[Any]) -> Step:
    who = (Verb(row.verb), row.person, row.organisation, row.hash, State(row.state), row.note)
    return Step(*who, moment(row.time), row.seq)
