"""The HTTP door: ``/v1`` over a gateway, bearer tokens, JSON, CSV or Arrow out, problems as RFC 9457.

Invariants: who asks is known before a body is read; a body is read to 64 KiB and no further; every
response but a probe's is an answer of the gateway or a problem with the codes of the command line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

import sandbox
from sandbox.casework.register import as_csv, as_json
from sandbox.casework.supervision import as_json as report_json
from sandbox.console.app import mount
from sandbox.doors import cases, filters, http_reply, http_schema, tracing, wire
from sandbox.doors.asking import (
    LONGEST_BODY,
    Asked,
    CaseBody,
    FreezeBody,
    Saved,
    read_account,
    read_body,
    read_case,
    read_freeze,
    read_view,
)
from sandbox.doors.http_shield import Shield
from sandbox.doors.metrics import CONTENT_TYPE, Metrics
from sandbox.doors.ports import Gateway, Lodging
from sandbox.doors.reception import Reception, caller
from sandbox.doors.report_pdf import as_pdf
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.model import Answer, Person, Refused
from sandbox.policy import scopes
from sandbox.policy.roles import Action, check
from sandbox.policy.scopes import Scope
from sandbox.policy.workflow.states import Kind, State, Verb
from sandbox.store.accounts import Accounts, Bearer
from sandbox.store.ledger import MOST

Clock = Callable[[], dt.datetime]
SCHEME: Final = "bearer "
KNOWN: Final = "sandbox.person"
"""In a request's scope: the name of the person whose own socket it came through.  No client can set it."""


def utc_now() -> dt.datetime:
    """The time, UTC."""
    return dt.datetime.now(dt.UTC)


class Door:
    """The endpoints.  They run in threads: the gateway and the store wait for disks and workers."""

    def __init__(self, gateway: Gateway, reception: Reception, clock: Clock) -> None:
        self._gateway = gateway
        self._reception = reception
        self._clock = clock
        self.metrics = Metrics()

    def who(self, request: Request) -> Bearer:
        """Whose token, or socket, this is.  Refuses with ``Code.WHO`` or ``Code.TRIES``."""
        if (known := request.scope.get(KNOWN)) is not None:
            return Bearer(self._still(known), Scope.ALL)
        given = request.headers.getlist("authorization")
        if len(given) != 1 or not given[0].lower().startswith(SCHEME):
            raise refuse(Code.WHO)
        found = self._reception.bearer(given[0][len(SCHEME) :].strip(), caller(request))
        if found is None:
            raise refuse(Code.WHO)
        return found

    def _still(self, known: str) -> Person:
        """Who a socket belongs to, as long as they have an account in use."""
        person = self._reception.person(known)
        if person is None:
            raise refuse(Code.WHO)
        return person

    def query(self, person: Person, asked: Asked, wanted: http_reply.Form) -> Response:
        """Answer a query."""
        found = self._gateway.query(asked.request(person, self._clock()))
        self._queried(found)
        if isinstance(found, Refused):
            return self._refused(found)
        return http_reply.answer(found, wanted)

    def _queried(self, found: Answer | Refused) -> None:
        self.metrics.queried(found)
        tracing.queried(found)

    def explain(self, person: Person, asked: Asked) -> Response:
        """Price a query and predict its error."""
        found = self._gateway.explain(asked.request(person, self._clock()))
        if isinstance(found, Refused):
            return self._refused(found)
        return http_reply.json(wire.explained(found))

    def cancel(self, person: Person) -> Response:
        """Stop what this person runs or waits for."""
        return http_reply.json({"stopped": self._gateway.cancel(person)})

    def catalog(self, person: Person) -> Response:
        """The grants and what they open."""
        return http_reply.json(wire.grants(self._gateway.catalog(person)))

    def budget(self, person: Person) -> Response:
        """What is spent and what is left."""
        return http_reply.json(wire.balances(self._gateway.budget(person)))

    def approve(self, person: Person, account: str) -> Response:
        """Put a raised total in force."""
        return http_reply.json(wire.balance(self._gateway.approve(person, account)))

    def cases(self, person: Person, parameters: Mapping[str, str]) -> Response:
        """Cases, newest first."""
        http_reply.only(parameters, "kind", "state")
        kind = cases.word(Kind, parameters.get("kind"))
        state = cases.word(State, parameters.get("state"))
        found = self._gateway.casework.cases(person, kind, state)
        return http_reply.json({"cases": [cases.case(one) for one in found]})

    def case(self, person: Person, id: int) -> Response:
        """One case, whole."""
        return http_reply.json(cases.whole(self._gateway.casework, person, id))

    def open_case(self, person: Person, given: CaseBody) -> Response:
        """Open a case."""
        kind = cases.needed(Kind, given.word)
        found = self._gateway.casework.open(person, kind, given.text, given.note)
        return http_reply.json(cases.whole(self._gateway.casework, person, found.id))

    def step(self, person: Person, id: int, given: CaseBody) -> Response:
        """Take a step."""
        verb = cases.needed(Verb, given.word)
        desk = self._gateway.casework
        desk.act(person, id, verb, hash=given.hash, text=given.text, note=given.note)
        return http_reply.json(cases.whole(desk, person, id))

    def products(self, person: Person) -> Response:
        """The products."""
        found = self._gateway.products.list(person)
        return http_reply.json({"products": [cases.product(one) for one in found]})

    def product(self, person: Person, id: str, parameters: Mapping[str, str], accept: str) -> Response:
        """A product for its parameters."""
        given = dict(parameters)
        wanted = http_reply.form(given.pop("format", None), accept)
        found = self._gateway.products.deliver(person, id, given)
        self._queried(found)
        return self._refused(found) if isinstance(found, Refused) else http_reply.answer(found, wanted)

    def statement(self, person: Person, parameters: Mapping[str, str]) -> Response:
        """A month's deliveries."""
        http_reply.only(parameters, "month")
        month = parameters.get("month", "")
        return http_reply.json(cases.statement(month, self._gateway.products.statement(person, month)))

    def register(self, wanted: http_reply.Form) -> Response:
        """The public register."""
        rows = self._gateway.register()
        if wanted is http_reply.Form.CSV:
            return Response(as_csv(rows), headers={"content-type": "text/csv; charset=utf-8; header=present"})
        if wanted is http_reply.Form.ARROW:
            raise refuse(Code.FORMAT, wanted.value)
        return Response(as_json(rows), media_type=http_reply.JSON)

    def supervision(self, person: Person, parameters: Mapping[str, str]) -> Response:
        """The report on an operator's month."""
        http_reply.only(parameters, "operator", "month", "format", "lang")
        form = parameters.get("format", "json")
        if form not in ("json", "pdf"):
            raise refuse(Code.FORMAT, ascii(form[:40]))
        operator = parameters.get("operator", person.organisation)
        found = self._gateway.supervision(person, operator, parameters.get("month", ""))
        if form == "pdf":
            lang = filters.lang(parameters.get("lang", "zh"))
            return Response(as_pdf(found, lang), media_type="application/pdf")
        return Response(report_json(found), media_type=http_reply.JSON)

    def freezes(self, person: Person) -> Response:
        """Every freeze ever made."""
        return http_reply.json({"freezes": [wire.freeze(one) for one in self._gateway.freezes(person)]})

    def freeze(self, person: Person, given: FreezeBody) -> Response:
        """Stop queries at once, or say what that would stop."""
        about = (person, given.scope, given.target, given.reason)
        if given.drill:
            return http_reply.json(wire.drill(self._gateway.drill(*about)))
        return http_reply.json(wire.freeze(self._gateway.freeze(*about)))

    def lift(self, person: Person, id: int) -> Response:
        """Approve a lifting, or complete it."""
        return http_reply.json(wire.freeze(self._gateway.lift(person, id)))

    def log(self, person: Person, request: Request) -> Response:
        """A page of the log."""
        given = _parameters(request)
        view = given.pop("view", None)
        saved = {} if view is None else self._gateway.logbook.view(person, view).filters
        return http_reply.json(wire.page(self._gateway.log(person, filters.log_filter({**saved, **given}))))

    def entry(self, person: Person, seq: int) -> Response:
        """One entry of the log, whole."""
        return http_reply.json(wire.entry(self._gateway.logbook.entry(person, seq)))

    def views(self, person: Person) -> Response:
        """The saved views."""
        return http_reply.json(wire.views(self._gateway.logbook.views(person)))

    def save_view(self, person: Person, given: Saved) -> Response:
        """Keep filters under a name."""
        filters.log_filter(given.filters)
        found = self._gateway.logbook.save(person, given.name, given.filters, shared=given.shared)
        return http_reply.json(wire.view(found))

    def drop_view(self, person: Person, given: Saved) -> Response:
        """Forget a view."""
        self._gateway.logbook.drop(person, given.name, shared=given.shared)
        return self.views(person)

    def receipt(self, person: Person, seq: int) -> Response:
        """Proof of one entry of the log."""
        return http_reply.json(wire.receipt(self._gateway.desk.receipt(person, seq)))

    def checkpoint(self) -> Response:
        """The log's signed head, keys and rotations."""
        return http_reply.json(self._gateway.desk.head())

    def consistency(self, parameters: Mapping[str, str]) -> Response:
        """Proof that the log begins with its first entries."""
        http_reply.only(parameters, "start")
        text = parameters.get("start", "")
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            hint = "give start, the size of the checkpoint that you hold"
            raise refuse(Code.REQUEST, "start", hint, "请以 start 给出所持检查点的条数")
        return http_reply.json(self._gateway.desk.consistency(int(text)))

    def figures(self, person: Person) -> Response:
        """The service's metrics."""
        check(person, Action.METRICS)
        return Response(self.metrics.text(*self._gateway.load()), media_type=CONTENT_TYPE)

    def ready(self) -> Response:
        """Whether a query could be answered: see ``Gateway.ready``."""
        self._gateway.ready()
        return http_reply.json({"status": "ready"})

    def problem(self, refusal: Refusal) -> Response:
        """A refusal on its way out."""
        return http_reply.problem(refusal.reasons, now=self._clock())

    def _refused(self, found: Refused) -> Response:
        now = self._clock()
        return http_reply.problem(found.reasons, request=found.request, now=now, proof=found.receipt)


class App(FastAPI):
    """FastAPI without what it would say of its own accord."""

    def __init__(self, door: Door, traces: tracing.Traces) -> None:
        super().__init__(
            title="Data Sandbox 数据沙箱",
            version=sandbox.__version__,
            description=http_schema.DESCRIPTION,
            docs_url=None,  # both pages load scripts from a CDN
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"logs": False, "tracing": False, "metrics": False, "auto_configure": False},
        )
        self.state.door = door
        self.add_middleware(Shield, counted=door.metrics.responded, traces=traces)
        for kind in (Refusal, HTTPException, RequestValidationError):
            self.add_exception_handler(kind, _problem)

    def openapi(self) -> dict[str, Any]:
        """The description of the addresses, with its shared schemas."""
        return http_schema.completed(super().openapi())


def create_app(
    gateway: Gateway,
    accounts: Accounts,
    clock: Clock = utc_now,
    traces: tracing.Traces | None = None,
    lodging: Lodging | None = None,
    *,
    strict: bool = False,
) -> App:
    """The application.  The caller closes the gateway, the traces, and the ``lodging``: notebooks, if any.

    ``strict``: the console is open to those who came with a second factor alone.
    """
    reception = Reception(accounts, gateway.desk, clock)
    app = App(Door(gateway, reception, clock), traces or tracing.Traces())
    for path, endpoint in _ENDPOINTS.items():
        about = http_schema.ROUTES[path]
        app.add_api_route(
            path,
            endpoint,
            methods=[about.method],
            summary=about.summary,
            openapi_extra=about.extra,
            responses=about.responses,
            response_class=Response,
            name=path.rsplit("/", 1)[-1],
        )
    mount(app, gateway, reception, clock, lodging, strict=strict)
    return app


def door_of(request: Request) -> Door:
    """The door behind this request's application."""
    door = request.app.state.door
    assert isinstance(door, Door)
    return door


def who(request: Request) -> Person:
    """Who asks.  Refuses ``Code.ROLE`` whose role or token may not take what this address does."""
    bearer = door_of(request).who(request)
    action = http_schema.ROUTES[request.scope["route"].path].action
    assert action is not None  # nobody is asked who they are where anyone may come
    check(bearer.person, action)
    scopes.check(bearer.scope, action)
    return bearer.person


async def body(request: Request) -> Asked:
    """The request's body.  Refuses ``Code.TOO_LARGE``, ``REQUEST``, ``EPSILON``."""
    return read_body(await _bytes(request))


async def account(request: Request) -> str:
    """The account that the body names.  Refuses ``Code.TOO_LARGE``, ``REQUEST``."""
    return read_account(await _bytes(request))


async def saved(request: Request) -> Saved:
    """The view that the body describes.  Refuses ``Code.TOO_LARGE``, ``REQUEST``."""
    return read_view(await _bytes(request))


async def opening(request: Request) -> CaseBody:
    """The case that the body opens.  Refuses ``Code.TOO_LARGE``, ``REQUEST``."""
    return read_case(await _bytes(request), opening=True)


async def stepping(request: Request) -> CaseBody:
    """The step that the body takes.  Refuses ``Code.TOO_LARGE``, ``REQUEST``."""
    return read_case(await _bytes(request), opening=False)


async def freezing(request: Request) -> FreezeBody:
    """The freeze that the body asks for.  Refuses ``Code.TOO_LARGE``, ``REQUEST``."""
    return read_freeze(await _bytes(request))


async def _bytes(request: Request) -> bytes:
    """A body of JSON, at most 64 KiB of it."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != http_reply.JSON:
        hint = f"send Content-Type: {http_reply.JSON}"
        raise refuse(Code.REQUEST, "the content type", hint, f"请使用 Content-Type: {http_reply.JSON}")
    data = bytearray()
    async for part in _parts(request):
        data += part
        if len(data) > LONGEST_BODY:
            limit = f"{LONGEST_BODY} bytes"
            raise refuse(Code.TOO_LARGE, "the body", f"send at most {limit}", f"至多 {LONGEST_BODY} 字节")
    return bytes(data)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            yield part
    except ClientDisconnect:  # nobody reads this refusal, but nothing has gone wrong either
        raise refuse(Code.REQUEST, "it broke off", "send it whole", "请完整发送") from None


def wanted(request: Request) -> http_reply.Form:
    """The form of answer that the request asks for."""
    parameters = _parameters(request)
    http_reply.only(parameters, "format")
    return http_reply.form(parameters.get("format"), ", ".join(request.headers.getlist("accept")))


def bare(request: Request) -> None:
    """Refuse any query parameter."""
    http_reply.only(_parameters(request))


def _parameters(request: Request) -> dict[str, str]:
    found = request.query_params.multi_items()
    if len({name for name, _ in found}) != len(found):
        raise refuse(Code.REQUEST, "a parameter is given twice", "give each once", "每个参数只能出现一次")
    return dict(found)


Who = Annotated[Person, Depends(who)]
Body = Annotated[Asked, Depends(body)]
AccountBody = Annotated[str, Depends(account)]
ViewBody = Annotated[Saved, Depends(saved)]
Wanted = Annotated[http_reply.Form, Depends(wanted)]
Bare = Annotated[None, Depends(bare)]
Seq = Annotated[int, Path(ge=0, le=MOST)]
OpeningBody = Annotated[CaseBody, Depends(opening)]
SteppingBody = Annotated[CaseBody, Depends(stepping)]
FreezingBody = Annotated[FreezeBody, Depends(freezing)]


def query(request: Request, person: Who, form: Wanted, asked: Body) -> Response:
    """Answer a query."""
    return door_of(request).query(person, asked, form)


def explain(request: Request, person: Who, _: Bare, asked: Body) -> Response:
    """Price a query."""
    return door_of(request).explain(person, asked)


def cancel(request: Request, person: Who, _: Bare) -> Response:
    """Stop one's queries."""
    return door_of(request).cancel(person)


def catalog(request: Request, person: Who, _: Bare) -> Response:
    """List the grants."""
    return door_of(request).catalog(person)


def budget(request: Request, person: Who, _: Bare) -> Response:
    """List the accounts."""
    return door_of(request).budget(person)


def approve(request: Request, person: Who, _: Bare, name: AccountBody) -> Response:
    """Put a raised total in force."""
    return door_of(request).approve(person, name)


def list_cases(request: Request, person: Who) -> Response:
    """List the cases."""
    return door_of(request).cases(person, _parameters(request))


def open_case(request: Request, person: Who, _: Bare, given: OpeningBody) -> Response:
    """Open a case."""
    return door_of(request).open_case(person, given)


def case(request: Request, person: Who, _: Bare, id: Seq) -> Response:
    """Read a case."""
    return door_of(request).case(person, id)


def step(request: Request, person: Who, _: Bare, id: Seq, given: SteppingBody) -> Response:
    """Take a step."""
    return door_of(request).step(person, id, given)


def products(request: Request, person: Who, _: Bare) -> Response:
    """List the products."""
    return door_of(request).products(person)


def product(request: Request, person: Who, id: str) -> Response:
    """Deliver a product."""
    accept = ", ".join(request.headers.getlist("accept"))
    return door_of(request).product(person, id, _parameters(request), accept)


def statement(request: Request, person: Who) -> Response:
    """A month's deliveries."""
    return door_of(request).statement(person, _parameters(request))


def register(request: Request, _person: Who, form: Wanted) -> Response:
    """The public register."""
    return door_of(request).register(form)


def supervision(request: Request, person: Who) -> Response:
    """Report on an operator's month."""
    return door_of(request).supervision(person, _parameters(request))


def freezes(request: Request, person: Who, _: Bare) -> Response:
    """List the freezes."""
    return door_of(request).freezes(person)


def freeze(request: Request, person: Who, _: Bare, given: FreezingBody) -> Response:
    """Stop queries."""
    return door_of(request).freeze(person, given)


def lift(request: Request, person: Who, _: Bare, id: Seq) -> Response:
    """Lift a freeze."""
    return door_of(request).lift(person, id)


def log(request: Request, person: Who) -> Response:
    """Read the log."""
    return door_of(request).log(person, request)


def entry(request: Request, person: Who, _: Bare, seq: Seq) -> Response:
    """Read one entry."""
    return door_of(request).entry(person, seq)


def views(request: Request, person: Who, _: Bare) -> Response:
    """List the saved views."""
    return door_of(request).views(person)


def save_view(request: Request, person: Who, _: Bare, given: ViewBody) -> Response:
    """Save a view."""
    return door_of(request).save_view(person, given)


def drop_view(request: Request, person: Who, _: Bare, given: ViewBody) -> Response:
    """Drop a view."""
    return door_of(request).drop_view(person, given)


def receipt(request: Request, person: Who, _: Bare, seq: Seq) -> Response:
    """Prove an entry."""
    return door_of(request).receipt(person, seq)


def checkpoint(request: Request, _person: Who, _: Bare) -> Response:
    """The log's head."""
    return door_of(request).checkpoint()


def consistency(request: Request, _person: Who) -> Response:
    """Prove that the log only grew."""
    return door_of(request).consistency(_parameters(request))


def metrics(request: Request, person: Who, _: Bare) -> Response:
    """Read the service's figures."""
    return door_of(request).figures(person)


def healthz() -> Response:
    """Whether the process answers."""
    return http_reply.json({"status": "ok"})


def readyz(request: Request) -> Response:
    """Whether a query could be answered."""
    return door_of(request).ready()


_ENDPOINTS: Final[dict[str, Callable[..., Response]]] = {
    "/v1/queries": query,
    "/v1/explain": explain,
    "/v1/cancel": cancel,
    "/v1/catalog": catalog,
    "/v1/budget": budget,
    "/v1/budget/approvals": approve,
    "/v1/cases": list_cases,
    "/v1/cases/open": open_case,
    "/v1/cases/{id}": case,
    "/v1/cases/{id}/steps": step,
    "/v1/products": products,
    "/v1/products/{id}": product,
    "/v1/statements": statement,
    "/v1/register": register,
    "/v1/supervision": supervision,
    "/v1/freezes": freezes,
    "/v1/freezes/new": freeze,
    "/v1/freezes/{id}/lift": lift,
    "/v1/log": log,
    "/v1/log/views": views,
    "/v1/log/views/save": save_view,
    "/v1/log/views/drop": drop_view,
    "/v1/log/checkpoint": checkpoint,
    "/v1/log/consistency": consistency,
    "/v1/log/{seq}": entry,
    "/v1/log/{seq}/receipt": receipt,
    "/metrics": metrics,
    "/healthz": healthz,
    "/readyz": readyz,
}


async def _problem(request: Request, error: Exception) -> Response:
    """Every error that routing and reading can raise, as a problem."""
    if isinstance(error, Refusal):
        return door_of(request).problem(error)
    status = error.status_code if isinstance(error, HTTPException) else 422
    if status == 404:
        return http_reply.problem((Reason(Code.NOT_FOUND, ascii(request.url.path[:100])),))
    if isinstance(error, HTTPException) and status == 405:
        allowed = (error.headers or {}).get("Allow", "")
        reason = Reason(Code.METHOD, ascii(request.method[:10]), f"use {allowed}", f"请使用 {allowed}")
        response = http_reply.problem((reason,))
        response.headers["allow"] = allowed
        return response
    return http_reply.problem(
        (Reason(Code.REQUEST, "its form", "see /openapi.json", "请参阅 /openapi.json"),)
    )
