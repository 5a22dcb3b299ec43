"""The desk for cases: whoever may, opens them and takes them from step to step.

Invariants:
- a step is taken only if both the rules of states and those of persons allow it;
- who judges a text names the hash of what they read, and it is the text's;
- nothing comes into force, or leaves it, that would leave the documents in force with a mistake: a dataset
  regraded under open grants is checked with every one of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox.casework.documents import identity, together
from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.policy.documents import Dataset, Documents, Grant, Product
from sandbox.policy.load import Source
from sandbox.policy.mistakes import refusal
from sandbox.policy.roles import Action, check, may, of_bureau
from sandbox.policy.workflow import persons, states
from sandbox.policy.workflow.persons import Parties
from sandbox.policy.workflow.states import Kind, State, Verb
from sandbox.store.cases import Case, Cases, Step, Subject, advised, approvals
from sandbox.store.database import Database

LONGEST: Final = 60_000
"""Characters of a document."""
LONGEST_NOTE: Final = 2_000
_NEW: Final = "case"
"""A text that is no case yet, in the place of a file."""
HOUSE: Final = Person("sandbox", "", "sandbox")
"""Who takes the steps that nobody decides: expiry, and replacement by a later version."""
JUDGEMENTS: Final = frozenset({Verb.ADVISE, Verb.APPROVE, Verb.REJECT, Verb.ENACT})
"""Verbs that are over the hash of what was read."""
SAID: Final = frozenset({Verb.ADVISE, Verb.REJECT, Verb.REVOKE, Verb.NOTE, Verb.CLOSE})
"""Verbs that need a sentence."""


class CaseDesk:
    """See the module.  Thread-safe: every step is checked again by the store as it is written."""

    def __init__(
        self, database: Database, cases: Cases, folder: Path, now: Callable[[], dt.datetime]
    ) -> None:
        self._database = database
        self._cases = cases
        self._folder = folder
        self._now = now

    def open(self, person: Person, kind: Kind, text: str, note: str = "") -> Case:
        """Open a case.  Refuses ``ROLE``, ``DOCUMENT`` where there are mistakes, ``DUPLICATE``."""
        persons.check_opens(kind, person)
        _check_note(note)
        subject = self._subject(kind, text, person)
        return self._cases.open(kind, states.FIRST[kind], subject, person, note, self._now())

    def act(
        self, person: Person, id: int, verb: Verb, *, hash: str = "", text: str = "", note: str = ""
    ) -> Case:
        """Take a step.  ``hash`` is that of the text that was read; ``text`` the new one of a revision.

        Refuses ``NOT_FOUND``, ``STATE``, ``ROLE``, ``OWN_WORK``, ``TWO_PEOPLE``, ``CASE_CHANGED``,
        ``DOCUMENT``.
        """
        with self._database.write():  # of two at a time, the second sees what the first did
            return self._act(person, id, verb, hash, text, note)

    def _act(self, person: Person, id: int, verb: Verb, hash: str, text: str, note: str) -> Case:
        case = self.case(person, id)
        after = states.check_state(case.kind, case.state, verb)
        parties = self._parties(case)
        persons.check_person(case.kind, verb, person, parties)
        _check_note(note, needed=verb in SAID)
        if verb in JUDGEMENTS and hash != case.hash:
            raise refuse(Code.CASE_CHANGED, f"case {case.id}")
        if verb is Verb.REVISE:
            subject = self._subject(case.kind, text, person)
            return self._cases.move(case, verb, after, person, note, self._now(), subject=subject)
        if verb is Verb.APPROVE and not persons.complete(person, parties):
            after = case.state
        if verb is Verb.ADVISE and not self._all_advised(case, person):
            after = case.state
        return self._moved(case, verb, after, person, note)

    def case(self, person: Person, id: int) -> Case:
        """One case.  Refuses ``NOT_FOUND`` where there is none that this person may see."""
        check(person, Action.CASES)
        found = self._cases.case(id)
        if found is None or not _sees(person, found):
            raise refuse(Code.NOT_FOUND, f"case {id}")
        return found

    def cases(self, person: Person, kind: Kind | None = None, state: State | None = None) -> tuple[Case, ...]:
        """The cases that this person may see, newest first."""
        check(person, Action.CASES)
        return tuple(case for case in self._cases.find(kind, state) if _sees(person, case))

    def steps(self, person: Person, id: int) -> tuple[Step, ...]:
        """What was done with a case, oldest first."""
        return self._cases.steps(self.case(person, id).id)

    def may(self, person: Person, case: Case) -> tuple[Verb, ...]:
        """What this person may do with the case now."""
        parties = self._parties(case)
        verbs = states.open_verbs(case.kind, case.state)
        return tuple(verb for verb in verbs if persons.can_person(case.kind, verb, person, parties))

    def expire(self) -> int:
        """End the grants whose last day is over; how many.  The service's own round."""
        today = self._now().date()
        over = [
            case
            for case in self._cases.find(Kind.GRANT, State.IN_FORCE)
            if case.subject.until is not None and case.subject.until < today
        ]
        ended = [case for case in over if not self._mistakes_without(case)]
        for case in ended:
            self._cases.move(case, Verb.EXPIRE, State.EXPIRED, HOUSE, "", self._now())
        return len(ended)

    def _moved(self, case: Case, verb: Verb, after: State, person: Person, note: str) -> Case:
        """One commit: what it replaces goes as it comes; the whole is read before, and must be sound."""
        entering, leaving = after is State.IN_FORCE, case.state is State.IN_FORCE
        if entering or leaving:
            known = self._cases.in_force()
            former = tuple(c for c in known if (c.kind, c.document) == (case.kind, case.document))
            others = tuple(c for c in known if c not in former)
            checked = together(self._folder, (*others, case) if entering else others)
            if checked.mistakes:
                raise refusal(checked.mistakes)
            for one in former if entering else ():
                self._cases.move(one, Verb.REPLACE, State.REPLACED, HOUSE, f"case-{case.id}", self._now())
        return self._cases.move(case, verb, after, person, note, self._now())

    def _mistakes_without(self, case: Case) -> bool:
        """Whether the documents would be unsound without this case: a product still rests on it."""
        return bool(together(self._folder, (c for c in self._cases.in_force() if c.id != case.id)).mistakes)

    def _subject(self, kind: Kind, text: str, person: Person) -> Subject:
        """The text, read together with what is in force, as it would be."""
        if not 0 < len(text) <= LONGEST or not all(c.isprintable() or c in "\r\n\t" for c in text):
            hint, zh = f"1 to {LONGEST} printable characters", f"1 至 {LONGEST} 个可打印字符"
            raise refuse(Code.REQUEST, "the document", hint, zh)
        if kind is Kind.INCIDENT:
            return Subject("", text)
        known = self._cases.in_force()
        written, id = identity(text)
        if written != kind.value or not id:
            hint, zh = f"send one document of kind {kind.value}", f"请提交一份 kind 为 {kind.value} 的文件"
            raise refuse(Code.REQUEST, "the document", hint, zh)
        filed = together(self._folder, ()).documents
        if id.casefold() in {d.id.casefold() for d in _of_kind(filed, kind)}:
            raise refuse(Code.DUPLICATE, f"{kind.value} {id}")
        others = (c for c in known if (c.kind, c.document) != (kind, id))
        checked = together(self._folder, others, Source(_NEW, text))
        own = tuple(m for m in checked.mistakes if m.file == _NEW)  # what it breaks, coming into force says
        if own:
            raise refusal(own)
        document = next(d for d in _of_kind(checked.documents, kind) if d.id == id)
        return _about(document, checked.documents, text, person)

    def _parties(self, case: Case) -> Parties:
        about = case.subject
        approved = approvals(self._cases.steps(case.id), case.hash)
        return Parties(case.author, case.organisation, frozenset(about.owners), approved, about.people)

    def _all_advised(self, case: Case, person: Person) -> bool:
        given = advised(self._cases.steps(case.id), case.hash) | {person.organisation}
        return given >= set(case.subject.owners)


Document = Dataset | Grant | Product


def _of_kind(documents: Documents, kind: Kind) -> tuple[Document, ...]:
    found: dict[Kind, tuple[Document, ...]] = {
        Kind.DATASET: documents.datasets,
        Kind.GRANT: documents.grants,
        Kind.PRODUCT: documents.products,
    }
    return found[kind]


def _about(document: Document, documents: Documents, text: str, person: Person) -> Subject:
    """What the workflow needs of a document.  Refuses ``ROLE`` who applies in another's name."""
    if isinstance(document, Dataset):
        if not of_bureau(person) and document.owner != person.organisation:
            raise refuse(Code.ROLE)
        return Subject(document.id, text, (document.owner,), 2 if document.important else 1)
    grant = document if isinstance(document, Grant) else documents.grant(document.grant)
    assert grant is not None  # a rule between documents
    if grant.to != person.organisation:
        raise refuse(Code.ROLE)
    named = _datasets(grant, documents)
    owners = tuple(sorted({d.owner for d in named}))
    people = 2 if any(d.important for d in named) else 1
    until = document.until if isinstance(document, Grant) else None
    return Subject(document.id, text, owners, people, until)


def _datasets(grant: Grant, documents: Documents) -> tuple[Dataset, ...]:
    ids = {table.partition(".")[0] for table, _ in grant.data}
    return tuple(d for d in documents.datasets if d.id in ids)


def _sees(person: Person, case: Case) -> bool:
    """The bureau sees all, an organisation what it wrote, an owner what names its data."""
    if may(person, Action.ALL_ENTRIES) or person.organisation == case.organisation:
        return True
    return may(person, Action.ADVISE) and person.organisation in case.subject.owners


def _check_note(note: str, *, needed: bool = False) -> None:
    seen = all(c.isprintable() or c == "\n" for c in note)
    if not seen or len(note) > LONGEST_NOTE or (needed and not note.strip()):
        hint, zh = f"1 to {LONGEST_NOTE} printable characters", f"1 至 {LONGEST_NOTE} 个可打印字符"
        raise refuse(Code.REQUEST, "the note", hint, zh)
