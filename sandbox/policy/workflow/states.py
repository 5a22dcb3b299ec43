"""Rules about states: which verb may follow in which state of a case, and what state it leads to.

Invariants: ``TABLE`` is the only source; what it does not hold is refused; a state without a verb is an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.model import Words


class Kind(StrEnum):
    """What a case is about.  The first three are kinds of policy document."""

    DATASET = "dataset"
    GRANT = "grant"
    PRODUCT = "product"
    INCIDENT = "incident"


class State(StrEnum):
    """Where a case stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    ADVISED = "advised"
    APPROVED = "approved"
    IN_FORCE = "in-force"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLACED = "replaced"
    OPEN = "open"
    CLOSED = "closed"


class Verb(StrEnum):
    """What somebody does with a case.  ``EXPIRE`` and ``REPLACE`` are the house's own."""

    OPEN = "open"
    REVISE = "revise"
    SUBMIT = "submit"
    ADVISE = "advise"
    APPROVE = "approve"
    REJECT = "reject"
    ENACT = "enact"
    WITHDRAW = "withdraw"
    REVOKE = "revoke"
    EXPIRE = "expire"
    REPLACE = "replace"
    NOTE = "note"
    CLOSE = "close"


Moves = Mapping[tuple[State, Verb], State]

_D, _S, _A, _F, _R = State.DRAFT, State.SUBMITTED, State.ADVISED, State.IN_FORCE, State.REJECTED

_WRITING: Final[Moves] = {
    (_D, Verb.REVISE): _D,
    (_S, Verb.REVISE): _D,
    (_R, Verb.REVISE): _D,
    (_D, Verb.SUBMIT): _S,
    (_D, Verb.WITHDRAW): State.WITHDRAWN,
    (_S, Verb.WITHDRAW): State.WITHDRAWN,
    (_S, Verb.REJECT): _R,
    (_F, Verb.REPLACE): State.REPLACED,
}
"""Common to the kinds of document: a change, whenever it comes, makes a draft of what was under review."""

TABLE: Final[Mapping[Kind, Moves]] = MappingProxyType(
    {
        Kind.DATASET: {
            **_WRITING,
            (_S, Verb.APPROVE): State.APPROVED,
            (State.APPROVED, Verb.REVISE): _D,
            (State.APPROVED, Verb.ENACT): _F,
            (State.APPROVED, Verb.WITHDRAW): State.WITHDRAWN,
            (_F, Verb.WITHDRAW): State.WITHDRAWN,
            (_F, Verb.REVOKE): State.REVOKED,
        },
        Kind.GRANT: {
            **_WRITING,
            (_S, Verb.ADVISE): _A,
            (_A, Verb.REVISE): _D,
            (_A, Verb.WITHDRAW): State.WITHDRAWN,
            (_A, Verb.REJECT): _R,
            (_A, Verb.APPROVE): _F,
            (_F, Verb.WITHDRAW): State.WITHDRAWN,
            (_F, Verb.REVOKE): State.REVOKED,
            (_F, Verb.EXPIRE): State.EXPIRED,
        },
        Kind.PRODUCT: {
            **_WRITING,
            (_S, Verb.APPROVE): _F,
            (_F, Verb.WITHDRAW): State.WITHDRAWN,
            (_F, Verb.REVOKE): State.REVOKED,
        },
        Kind.INCIDENT: {
            (State.OPEN, Verb.NOTE): State.OPEN,
            (State.OPEN, Verb.CLOSE): State.CLOSED,
        },
    }
)

FIRST: Final[Mapping[Kind, State]] = {
    Kind.DATASET: _D,
    Kind.GRANT: _D,
    Kind.PRODUCT: _D,
    Kind.INCIDENT: State.OPEN,
}
"""The state in which a case of each kind begins."""

STATES: Final[Mapping[State, Words]] = {
    State.DRAFT: Words("草稿", "a draft"),
    State.SUBMITTED: Words("待审", "submitted"),
    State.ADVISED: Words("数源单位已出具意见", "advised on by the owners"),
    State.APPROVED: Words("已批准，待生效", "approved, not yet in force"),
    State.IN_FORCE: Words("生效", "in force"),
    State.REJECTED: Words("未通过", "rejected"),
    State.WITHDRAWN: Words("已撤回", "withdrawn"),
    State.REVOKED: Words("已撤销", "revoked"),
    State.EXPIRED: Words("已到期", "expired"),
    State.REPLACED: Words("已被新版本取代", "replaced by a later version"),
    State.OPEN: Words("处置中", "open"),
    State.CLOSED: Words("已关闭", "closed"),
}
"""Each state as people read it."""

VERBS: Final[Mapping[Verb, Words]] = {
    Verb.OPEN: Words("立案", "opened"),
    Verb.REVISE: Words("修改", "revised"),
    Verb.SUBMIT: Words("提交", "submitted"),
    Verb.ADVISE: Words("出具意见", "gave an opinion"),
    Verb.APPROVE: Words("批准", "approved"),
    Verb.REJECT: Words("驳回", "rejected"),
    Verb.ENACT: Words("使生效", "put in force"),
    Verb.WITHDRAW: Words("撤回", "withdrew"),
    Verb.REVOKE: Words("撤销", "revoked"),
    Verb.EXPIRE: Words("到期", "expired"),
    Verb.REPLACE: Words("被取代", "was replaced"),
    Verb.NOTE: Words("记录", "noted"),
    Verb.CLOSE: Words("关闭", "closed"),
}
"""Each verb as a line of a case's history reads."""


def check_state(kind: Kind, state: State, verb: Verb) -> State:
    """The state that the verb leads to.  Refuses ``Code.STATE`` where it may not follow, saying what may."""
    found = TABLE[kind].get((state, verb))
    if found is None:
        may = ", ".join(open_verbs(kind, state)) or "-"
        subject = f"{verb.value}: {STATES[state].zh} / {STATES[state].en}"
        raise refuse(Code.STATE, subject, f"what may follow: {may}", f"此时可以：{may}")
    return found


def can_state(kind: Kind, state: State, verb: Verb) -> bool:
    """Whether the verb may follow."""
    return (state, verb) in TABLE[kind]


def open_verbs(kind: Kind, state: State) -> tuple[Verb, ...]:
    """What may follow in this state, the house's own verbs left out."""
    return tuple(v for s, v in TABLE[kind] if s is state and v not in (Verb.EXPIRE, Verb.REPLACE))
