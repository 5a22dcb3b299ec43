"""Requests as the doors make them: a body's bytes, or a command's words, become a ``Request``.

Invariants: only an *absent* epsilon means the grant's default; a number is judged by its literal text,
never by a float read from it; an unknown or repeated key is refused.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sandbox.doors import wire
from sandbox.errors import Code, Refusal, refuse
from sandbox.model import Person, Request, Within
from sandbox.privacy.accounting import parse_epsilon
from sandbox.store.freezes import Scope

FIELDS: Final = ("sql", "grant", "epsilon", "within", "idempotency_key")
LONGEST_BODY: Final = 64 * 1024
LONGEST_REASON: Final = 400
_LONGEST_KEY: Final = 200
_WITHIN: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(%?)")


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number (or one of the tokens NaN and Infinity) by its literal text."""

    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request body says.  ``epsilon is None``: it was absent."""

    sql: str
    grant: str
    epsilon: Fraction | None
    key: str | None
    within: Within | None = None

    def request(self, person: Person, now: dt.datetime) -> Request:
        """The request of this person.

        With an idempotency key, repeating the same body gives the same request id, so a retry after a
        lost answer is not a second request.
        """
        return Request(self._id(person), person, self.grant, self.sql, self.epsilon, now, self.within)

    def _id(self, person: Person) -> str:
        if self.key is None:
            return new_id()
        told = [person.name, self.key, self.grant, self.sql, str(self.epsilon)]
        if self.within is not None:
            told.append(f"within {self.within.amount} {self.within.relative}")
        return hashlib.sha256(wire.text(told).encode()).hexdigest()[:32]


def new_id() -> str:
    """A fresh request id."""
    return uuid.uuid4().hex


def read_body(data: bytes) -> Asked:
    """Read a body.  Refuses with ``Code.REQUEST``, or ``Code.EPSILON`` for an epsilon that is not plain."""
    body = _object(data, FIELDS)
    key = _text(body, "idempotency_key") if "idempotency_key" in body else None
    if key is not None and not 0 < len(key) <= _LONGEST_KEY:
        limit = f"1 to {_LONGEST_KEY} characters"
        raise _form("idempotency_key", f"give {limit}", f"请给出 1 到 {_LONGEST_KEY} 个字符")
    asked = parse_epsilon(_literal(body["epsilon"])) if "epsilon" in body else None
    within = parse_within(_literal(body["within"])) if "within" in body else None
    return Asked(_text(body, "sql"), _text(body, "grant"), asked, key, within)


def read_account(data: bytes) -> str:
    """Read the body that names an account.  Refuses with ``Code.REQUEST``."""
    return _text(_object(data, ("account",)), "account")


@dataclass(frozen=True, slots=True)
class Saved:
    """A view of the log as a body names it: filters under a name, for oneself or for everybody."""

    name: str
    filters: Mapping[str, str]
    shared: bool


def read_view(data: bytes) -> Saved:
    """Read the body that describes a view.  Refuses with ``Code.REQUEST``."""
    body = _object(data, ("name", "filters", "shared"))
    filters, shared = body.get("filters", {}), body.get("shared", False)
    if not isinstance(filters, dict) or not all(isinstance(v, str) for v in filters.values()):
        raise _form("filters", "give filters as an object of strings", "请以字符串对象给出 filters")
    if not isinstance(shared, bool):
        raise _form("shared", "give true or false", "请给出 true 或 false")
    return Saved(_text(body, "name"), filters, shared)


@dataclass(frozen=True, slots=True)
class CaseBody:
    """A case to open (``kind``, ``text``), or a step to take (``verb``, with what it needs)."""

    word: str
    text: str
    hash: str
    note: str


def read_case(data: bytes, *, opening: bool) -> CaseBody:
    """Read the body that opens a case, or takes a step.  Refuses with ``Code.REQUEST``."""
    word, others = ("kind", ("text", "note")) if opening else ("verb", ("text", "hash", "note"))
    body = _object(data, (word, *others))
    told = {name: _text(body, name) if name in body else "" for name in ("text", "hash", "note")}
    return CaseBody(_text(body, word), **told)


@dataclass(frozen=True, slots=True)
class FreezeBody:
    """What to freeze and why; ``drill``: only say what that would stop."""

    scope: Scope
    target: str
    reason: str
    drill: bool


def read_freeze(data: bytes) -> FreezeBody:
    """Read the body that freezes.  Refuses with ``Code.REQUEST``."""
    body = _object(data, ("scope", "target", "reason", "drill"))
    drill = body.get("drill", False)
    if not isinstance(drill, bool):
        raise _form("drill", "give true or false", "应为 true 或 false")
    target = _text(body, "target") if "target" in body else ""
    return freeze_of(_text(body, "scope"), target, _text(body, "reason"), drill=drill)


def freeze_of(scope: str, target: str, reason: str, *, drill: bool) -> FreezeBody:
    """A freeze as it was asked for.  Refuses with ``Code.REQUEST`` what names too much or too little."""
    if scope not in set(Scope):
        known = ", ".join(Scope)
        raise _form("the scope", f"one of: {known}", f"可用：{known}")
    if (Scope(scope) is Scope.EVERYTHING) != (not target):
        hint, zh = "name one for every scope but everything", "除 everything 外须指明对象"
        raise _form("the target", hint, zh)
    if not 0 < len(reason) <= LONGEST_REASON:
        raise _form("the reason", f"1 to {LONGEST_REASON} characters", f"1 至 {LONGEST_REASON} 个字")
    return FreezeBody(Scope(scope), target, reason, drill)


def parse_within(text: str) -> Within:
    """Read an accuracy: a plain decimal above zero, such as 100, or a percentage such as 5%.

    At most 12 digits before the point and 6 after.  Anything else is refused with ``Code.WITHIN``.
    """
    found = _WITHIN.fullmatch(text)
    amount = Fraction(found.group(1)) if found else Fraction(0)
    if found is None or amount == 0:
        raise refuse(
            Code.WITHIN,
            _quote(text),
            "give a plain decimal above zero, such as 100, or a percentage, such as 5%",
            "请给出大于零的十进制数（如 100）或百分比（如 5%）",
        )
    return Within(amount / 100, True) if found.group(2) else Within(amount, False)


def _object(data: bytes, fields: tuple[str, ...]) -> dict[str, object]:
    try:
        body = json.loads(
            data.decode("utf-8"),
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
            object_pairs_hook=_once,
        )
    except (ValueError, RecursionError):
        raise _form("not JSON in UTF-8", "send one JSON object", "请发送一个 JSON 对象") from None
    if not isinstance(body, dict):
        raise _form("not an object", "send one JSON object", "请发送一个 JSON 对象")
    unknown = [name for name in body if name not in fields]
    if unknown:
        raise _form(
            f"unknown field {_quote(unknown[0])}", f"use {', '.join(fields)}", f"可用：{'、'.join(fields)}"
        )
    return body


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _form("a key is given twice", "give each key once", "每个键只能出现一次")
    return found


def _literal(value: object) -> str:
    """The literal text of an epsilon, as ``parse_epsilon`` judges it; null and true are no numbers."""
    if isinstance(value, Number):
        return value.text
    return value if isinstance(value, str) else json.dumps(value, default=lambda _: "…")


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _form(name, f"give {name} as a string", f"请以字符串给出 {name}")
    return value


def _form(subject: str, en: str, zh: str) -> Refusal:
    return refuse(Code.REQUEST, subject, en, zh)


def _quote(name: str) -> str:
    return ascii(name[:40])
