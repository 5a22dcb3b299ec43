"""Applications and reviews: cases, their texts, and the steps that people take.

Invariant: whoever judges a text sends the hash of the text that the page showed them, so that nobody approves
what was changed meanwhile.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.casework.month import ZONE
from sandbox.console.page import Page, get, post
from sandbox.console.proposal import proposed
from sandbox.console.skeletons import skeleton
from sandbox.console.visit import Visit
from sandbox.doors import filters
from sandbox.errors import Code, Refusal, refuse
from sandbox.model import Words
from sandbox.policy.diff import differences
from sandbox.policy.roles import Action
from sandbox.policy.workflow.persons import can_open
from sandbox.policy.workflow.states import STATES, VERBS, Kind, State, Verb
from sandbox.store.cases import Case

KINDS: Final[dict[Kind, Words]] = {
    Kind.DATASET: Words("数据集", "Dataset"),
    Kind.GRANT: Words("授权申请", "Grant application"),
    Kind.PRODUCT: Words("数据产品", "Data product"),
    Kind.INCIDENT: Words("事件记录", "Incident"),
}

DEEDS: Final[dict[Verb, Words]] = {
    Verb.REVISE: Words("保存修改", "Save the revision"),
    Verb.SUBMIT: Words("提交审核", "Submit"),
    Verb.ADVISE: Words("出具意见", "Give this opinion"),
    Verb.APPROVE: Words("批准", "Approve"),
    Verb.REJECT: Words("驳回", "Reject"),
    Verb.ENACT: Words("使生效", "Put in force"),
    Verb.WITHDRAW: Words("撤回", "Withdraw"),
    Verb.REVOKE: Words("撤销", "Revoke"),
    Verb.NOTE: Words("记录", "Note"),
    Verb.CLOSE: Words("关闭", "Close"),
}
"""Each verb as the button that does it."""


def cases(visit: Visit) -> Response:
    """All cases that this person may see, those that wait for them first."""
    desk = visit.console.gateway.casework
    kind = _kind(visit.asked("kind")) if visit.asked("kind") else None
    listed = [(case, desk.may(visit.person, case)) for case in desk.cases(visit.person, kind)]
    return visit.page(
        "cases.html",
        waiting=[(case, may) for case, may in listed if waits(case, may)],
        others=[(case, may) for case, may in listed if not waits(case, may)],
        kind=kind,
        kinds=KINDS,
        states=STATES,
        opens=[k for k in Kind if can_open(k, visit.person)],
    )


def fresh(visit: Visit) -> Response:
    """The form for another case."""
    kind = _kind(visit.asked("kind"))
    if not can_open(kind, visit.person):
        raise refuse(Code.ROLE)
    documents = visit.console.gateway.documents()
    text = skeleton(kind, visit.person, documents, visit.now.astimezone(ZONE).date())
    return visit.page("case_new.html", kind=kind, kinds=KINDS, text=text, reasons=(), incident="")


def opened(visit: Visit) -> Response:
    """Open a case, and go on to it."""
    kind, text = _kind(visit.field("kind")), _lines(visit.fields.get("text", ""))
    try:
        found = visit.console.gateway.casework.open(visit.person, kind, text, visit.field("note"))
    except Refusal as refusal:  # shown beside the text, which its author goes on with
        told = {"kind": kind, "kinds": KINDS, "text": text, "reasons": refusal.reasons, "incident": ""}
        return visit.page("case_new.html", refusal.code.status, **told)
    return visit.go(f"/cases/{found.id}")


def case(visit: Visit) -> Response:
    """One case: its text, what it would change, its history, and what this person may do."""
    desk = visit.console.gateway.casework
    found = desk.case(visit.person, filters.number("id", visit.request.path_params["id"]))
    return visit.page(
        "case.html",
        case=found,
        steps=desk.steps(visit.person, found.id),
        may=desk.may(visit.person, found),
        sentences=_sentences(visit, found),
        kinds=KINDS,
        states=STATES,
        verbs=VERBS,
        deeds=DEEDS,
        revise=Verb.REVISE,
    )


def act(visit: Visit) -> Response:
    """Take a step."""
    number = filters.number("id", visit.request.path_params["id"])
    word = visit.field("verb")
    if word not in set(Verb):
        raise refuse(Code.REQUEST, "the step", "choose one that the page offers", "请选择页面上的操作")
    given = {"hash": visit.field("hash"), "note": visit.field("note")}
    text = _lines(visit.fields.get("text", ""))
    visit.console.gateway.casework.act(visit.person, number, Verb(word), text=text, **given)
    return visit.go(f"/cases/{number}")


def _kind(word: str) -> Kind:
    if word not in set(Kind):
        raise refuse(Code.REQUEST, "the kind", "choose one that the page offers", "请选择页面上的种类")
    return Kind(word)


def waits(case: Case, may: tuple[Verb, ...]) -> bool:
    """Whether the case stands until somebody like this person acts."""
    return bool(may) and case.state not in (State.IN_FORCE, State.REJECTED)


def _lines(text: str) -> str:
    """A text as browsers send it, with plain ends of lines."""
    return text.replace("\r\n", "\n")


def _sentences(visit: Visit, found: Case) -> tuple[Words, ...]:
    """What the document would change of those in force, if it is one and still could."""
    if found.kind not in (Kind.DATASET, Kind.GRANT) or found.state in (State.IN_FORCE, State.REPLACED):
        return ()
    documents = visit.console.gateway.documents()
    changed, mistakes = proposed(documents, found.text, f"case-{found.id}")
    return () if mistakes else differences(documents, changed)


PAGES: Final[tuple[Page, ...]] = (
    get("/cases", Action.CASES, cases),
    get("/cases/new", Action.CASES, fresh),
    post("/cases/new", Action.CASES, opened),
    get("/cases/{id}", Action.CASES, case),
    post("/cases/{id}", Action.CASES, act),
)
