"""The nouns that pass between stages and doors.  Frozen values only; no behaviour but reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import pyarrow as pa

from sandbox.catalogue import Kind
from sandbox.errors import Lang, Reason


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in both languages."""

    zh: str
    en: str

    def text(self, lang: Lang) -> str:
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: account name, role (``bureau``, ``owner``, ``operator``, ``analyst``), organisation."""

    name: str
    role: str
    organisation: str


@dataclass(frozen=True, slots=True)
class Within:
    """A wanted accuracy: 95 % intervals of half-width ``amount``, or of that part of the value itself."""

    amount: Fraction
    relative: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One question: who, under which grant, what text, how much of the allowance to spend.

    ``epsilon`` is ``None`` for the grant's default (its largest per query) and must be ``None`` in
    exact mode.  ``time`` is when the door received it (UTC).  ``within`` asks for the smallest epsilon that
    is predicted to be so accurate; then ``epsilon`` is ``None``.
    """

    id: str
    person: Person
    grant: str
    sql: str
    epsilon: Fraction | None
    time: dt.datetime
    within: Within | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that one entry is in the audit log; it verifies offline (docs/audit-log.md).

    ``entry`` is the canonical JSON that the log's Merkle tree holds at ``index``; ``salt`` and ``personal``
    open its commitment (``None`` once the personal part was lawfully deleted); ``path`` is the inclusion
    proof, from the leaf's sibling upwards; ``checkpoint`` the signed head; ``hash`` names the hash function.
    """

    hash: str
    index: int
    entry: str
    salt: bytes | None
    personal: str | None
    path: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A decision that says no, with every reason at once.  ``receipt`` proves that it is on record."""

    request: str
    reasons: tuple[Reason, ...]
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Derivation:
    """A readable tree from declared facts to sensitivities, mechanisms, noise scales and cost.

    ``label`` names the step (``release``, ``cap``, ``mechanism`` …), ``facts`` are pairs of a name and
    a value in plain text, ``children`` what it rests on.
    """

    label: str
    facts: tuple[tuple[str, str], ...] = ()
    children: tuple[Derivation, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The tree as indented text, one node a line."""
        facts = "  ".join(f"{name}={value}" for name, value in self.facts)
        yield "  " * depth + (f"{self.label}: {facts}" if facts else self.label)
        for child in self.children:
            yield from child.lines(depth + 1)


@dataclass(frozen=True, slots=True)
class Price:
    """What a query costs.  ``epsilon`` as asked; ``nano`` in ledger units; ``free`` if answers exist.

    Ledger units are 1e-9 of zCDP rho (or of epsilon under a pure grant).
    """

    epsilon: Fraction
    nano: int
    measure: str
    free: bool


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """A column of an answer.  ``noisy``: carries noise, so the ``margins`` hold its half-widths.

    ``predicted`` is the half-width of the 95 % interval predicted from public facts alone, as plain
    text, or "" when it depends on what will be released.
    """

    name: str
    kind: Kind
    noisy: bool
    predicted: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """What a query would cost and how good it would be; nothing was spent."""

    request: str
    grant: str
    mode: str
    price: Price | None
    columns: tuple[AnswerColumn, ...]
    derivation: Derivation
    guarantee: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A protected answer.

    ``table``: one Arrow column per ``columns`` entry, in order (Arrow names are positional ``c0 …``;
    the names to show are in ``columns``).  ``margins``: same shape, float64 half-widths of 95 %
    intervals, null where a value carries no noise or no interval is known.
    ``guarantee``: what is promised and what is not, in words.  ``receipt``: audit log position, and
    ``proof`` that the entry is there.
    """

    request: str
    grant: str
    mode: str
    snapshot: str
    columns: tuple[AnswerColumn, ...]
    table: pa.Table
    margins: pa.Table
    price: Price | None
    derivation: Derivation
    guarantee: tuple[Words, ...]
    notes: tuple[Words, ...] = ()
    receipt: int = -1
    timings: tuple[tuple[str, float], ...] = ()
    proof: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """One account of the ledger, in ledger units (see ``Price``) and as epsilon at the grant's delta.

    ``account`` is ``grant/unit-kind@dataset`` or ``dataset/unit-kind``.  The limits are those in force;
    ``awaiting`` is the total epsilon that the policy was raised to and nobody approved yet, or ``None``.
    ``unfinished`` is how much of what is spent belongs to queries whose end is not on record: they are at
    work, or were cut off and stay spent.
    """

    account: str
    measure: str
    spent: int
    limit: int
    epsilon_spent: float
    epsilon_limit: float
    delta: float
    awaiting: float | None = None
    unfinished: int = 0


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the audit log as people read it."""

    seq: int
    time: dt.datetime
    kind: str
    request: str
    person: str
    organisation: str
    grant: str
    datasets: tuple[str, ...]
    decision: str
    codes: tuple[str, ...]
    nano: int
    text: str
    payload: str
