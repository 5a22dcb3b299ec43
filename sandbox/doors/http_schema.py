"""The OpenAPI description: schemas and examples, written out because bodies are read by hand.

Reading them by hand is what keeps a number's literal text (see ``asking``); a test sends every example.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sandbox.doors import filters, http_reply
from sandbox.doors.asking import LONGEST_REASON
from sandbox.policy.roles import Action
from sandbox.policy.workflow.states import Kind, Verb
from sandbox.store.freezes import Scope
from sandbox.store.log.hashing import HASHES
from sandbox.store.log.receipt import CONSISTENCY, RECEIPT

Schema = dict[str, Any]

DESCRIPTION: Final = (
    "Query public data under a grant; raw data never leaves the domain.  Only differentially private answers "
    "and exact answers over a published grid leave.  原始数据不出域，数据可用不可见。"
)

_STRING: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_TRUTH: Final[Schema] = {"type": "boolean"}
_WORDS: Final[Schema] = {
    "type": "object",
    "properties": {"zh": _STRING, "en": _STRING},
    "required": ["zh", "en"],
}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_PRICE: Final[Schema] = {
    **_object(
        epsilon={**_STRING, "description": "As asked, exactly."},
        nano={**_WHOLE, "description": "1e-9 of zCDP rho, or of epsilon under a pure grant."},
        measure={"enum": ["zcdp", "pure"]},
        free={**_TRUTH, "description": "Answers exist already; nothing is charged."},
    ),
    "type": ["object", "null"],
}
_COLUMNS: Final = _list(_object(name=_STRING, kind=_STRING, noisy=_TRUTH, predicted=_STRING))
_SHARED: Final[Schema] = {"request": _STRING, "grant": _STRING, "mode": {"enum": ["dp", "exact"]}}

_BALANCE: Final = _object(
    account=_STRING,
    measure=_STRING,
    spent=_WHOLE,
    limit={**_WHOLE, "description": "In force, in the units of `spent`."},
    epsilon_spent={"type": "number"},
    epsilon_limit={"type": "number"},
    delta={"type": "number"},
    awaiting={
        "type": ["number", "null"],
        "description": "The total epsilon that the policy was raised to and nobody approved yet.",
    },
    unfinished={**_WHOLE, "description": "Of `spent`: queries at work, or cut off by a crash."},
)

_VIEW: Final[Schema] = _object(
    name=_STRING,
    shared=_TRUTH,
    filters={
        "type": "object",
        "description": "The parameters of /v1/log.",
        "additionalProperties": _STRING,
    },
)

SCHEMAS: Final[dict[str, Schema]] = {
    "Query": {
        "type": "object",
        "additionalProperties": False,
        "required": ["sql", "grant"],
        "properties": {
            "sql": {**_STRING, "description": "One SELECT."},
            "grant": {**_STRING, "description": "The grant to ask under."},
            "epsilon": {
                "description": "How much of the allowance to spend: a plain decimal from 0.001 to 20 with at "
                "most 6 decimals, as number or string.  Absent: the grant's default.  Never null.",
                "anyOf": [{"type": "number"}, {**_STRING, "pattern": r"^[0-9]{1,3}(\.[0-9]{1,6})?$"}],
            },
            "within": {
                "description": "Instead of epsilon: the least that is predicted to give 95 % intervals of "
                "this half-width, a plain decimal or a percentage of the value.",
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0},
                    {**_STRING, "pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?%?$"},
                ],
            },
            "idempotency_key": {
                **_STRING,
                "minLength": 1,
                "maxLength": 200,
                "description": "The same key with the same body is the same request.",
            },
        },
        "example": {
            "sql": "SELECT carrier, COUNT(*) AS flights FROM flight GROUP BY carrier",
            "grant": "G-FLIGHTS-DP",
            "epsilon": 0.5,
        },
    },
    "Answer": _object(
        **_SHARED,
        snapshot=_STRING,
        columns=_COLUMNS,
        price=_PRICE,
        guarantee=_list(_WORDS),
        notes=_list(_WORDS),
        derivation=_list(_STRING),
        receipt={**_WHOLE, "description": "Position in the audit log."},
        proof={"anyOf": [_ref("Receipt"), {"type": "null"}]},
        rows=_list({"type": "array", "description": "Decimals are numbers with every digit."}),
        margins=_list(
            {
                "type": "array",
                "items": {"type": ["number", "null"]},
                "description": "Half-widths of 95 % intervals, of dates in days; null: none known.",
            }
        ),
    ),
    "Explained": _object(
        **_SHARED, price=_PRICE, columns=_COLUMNS, derivation=_list(_STRING), guarantee=_list(_WORDS)
    ),
    "Stopped": _object(stopped={**_WHOLE, "description": "How many queries there were."}),
    "Catalog": _object(grants=_list({"type": "object"})),
    "Balances": _object(balances=_list(_BALANCE)),
    "Balance": _BALANCE,
    "Approval": {
        "type": "object",
        "additionalProperties": False,
        "required": ["account"],
        "properties": {"account": {**_STRING, "description": "As /v1/budget names it."}},
        "example": {"account": "G-FLIGHTS-DP/aircraft@flights"},
    },
    "Page": _object(
        entries=_list({"type": "object"}),
        next={"type": ["integer", "null"], "description": "Pass as `after` for older entries."},
        previous={"type": ["integer", "null"], "description": "Pass as `before` for newer entries."},
    ),
    "Entry": {"type": "object"},
    "View": _VIEW,
    "Views": _object(views=_list(_VIEW)),
    "Saving": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {**_VIEW["properties"], "shared": {**_TRUTH, "description": "The bureau's alone."}},
        "example": {"name": "refused by policy", "filters": {"decision": "refused", "code": "DS-304"}},
    },
    "Dropping": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {"name": _STRING, "shared": _TRUTH},
        "example": {"name": "refused by policy"},
    },
    "Cases": _object(cases=_list(_ref("Case"))),
    "Case": _object(
        id=_WHOLE,
        kind=_STRING,
        document=_STRING,
        state=_STRING,
        author=_STRING,
        organisation=_STRING,
        hash={**_STRING, "description": "SHA-256 of the text; what you judge is named by it."},
        time=_STRING,
    ),
    "Opening": {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "text"],
        "properties": {"kind": {"enum": [kind.value for kind in Kind]}, "text": _STRING, "note": _STRING},
        "example": {"kind": "incident", "text": "an unusual pace of queries"},
    },
    "Stepping": {
        "type": "object",
        "additionalProperties": False,
        "required": ["verb"],
        "properties": {
            "verb": {"enum": [verb.value for verb in Verb]},
            "hash": {**_STRING, "description": "Of the text you read: to advise, approve, reject, enact."},
            "text": {**_STRING, "description": "The new text; to revise."},
            "note": {**_STRING, "description": "A sentence: to advise, reject, revoke, note, close."},
        },
        "example": {"verb": "note", "note": "the operator was frozen"},
    },
    "Products": _object(products=_list({"type": "object"})),
    "Statement": _object(month=_STRING, lines=_list({"type": "object"})),
    "Register": _object(register=_list({"type": "object", "additionalProperties": _STRING})),
    "Supervision": _object(
        operator=_STRING,
        month=_STRING,
        entries=_WHOLE,
        uses=_list({"type": "object"}),
        refusals=_list(_list({"type": ["string", "integer"]})),
        datasets=_list(_list({"type": ["string", "integer"]})),
        alerts=_list({"type": "object"}),
        freezes=_list({"type": "object"}),
        cases=_list({"type": "object"}),
        deliveries=_list({"type": "object"}),
    ),
    "Freezes": _object(freezes=_list(_ref("Freeze"))),
    "Freeze": {
        "type": "object",
        "properties": {
            "id": {**_WHOLE, "description": "0 for a drill."},
            "scope": {"enum": [scope.value for scope in Scope]},
            "target": _STRING,
            "reason": _STRING,
            "by": _STRING,
            "time": _STRING,
            "approved_by": {"type": ["string", "null"]},
            "lifted_by": {"type": ["string", "null"]},
            "lifted": {"type": ["string", "null"]},
            "drill": _TRUTH,
            "grants": {**_list(_STRING), "description": "Of a drill: the grants that it would have stopped."},
            "running": {**_WHOLE, "description": "Of a drill: their queries at work."},
        },
        "required": ["id", "scope", "target", "reason", "by", "time"],
    },
    "Freezing": {
        "type": "object",
        "additionalProperties": False,
        "required": ["scope", "reason"],
        "properties": {
            "scope": {"enum": [scope.value for scope in Scope]},
            "target": {**_STRING, "description": "Its id; none for everything."},
            "reason": {**_STRING, "maxLength": LONGEST_REASON, "description": "Shown to those it stops."},
            "drill": {**_TRUTH, "description": "Say what it would stop, on record, and stop nothing."},
        },
        "example": {"scope": "everything", "reason": "drill of November", "drill": True},
    },
    "Receipt": _object(
        format={"const": RECEIPT},
        hash={"enum": list(HASHES)},
        index=_WHOLE,
        entry={**_STRING, "description": "Canonical JSON, as the log's tree holds it."},
        salt={"type": ["string", "null"], "description": "Hexadecimal; null once lawfully deleted."},
        personal={"type": ["string", "null"], "description": "What the entry's commitment binds."},
        proof=_list({**_STRING, "description": "Base64, from the leaf's sibling upwards (RFC 6962)."}),
        checkpoint={**_STRING, "description": "A C2SP checkpoint, as a signed note."},
    ),
    "Consistency": _object(
        format={"const": CONSISTENCY},
        hash={"enum": list(HASHES)},
        **{"from": _WHOLE},
        proof=_list(_STRING),
        checkpoint=_STRING,
    ),
    "Head": _object(
        origin=_STRING,
        hash={"enum": list(HASHES)},
        keys=_list({**_STRING, "description": "C2SP verifier keys, the current one first."}),
        rotations=_list(_ref("Receipt")),
        size=_WHOLE,
        checkpoint=_STRING,
    ),
    "Status": _object(status=_STRING),
    "Problem": {
        **_object(
            type=_STRING,
            title=_STRING,
            status=_WHOLE,
            detail=_STRING,
            code={**_STRING, "pattern": "^DS-[0-9]{3}$"},
            reasons=_list(_object(code=_STRING, what=_WORDS, now=_WORDS, column=_STRING, rule=_STRING)),
        ),
        "example": {
            "type": "urn:data-sandbox:problem:DS-801",
            "title": "no valid credentials",
            "status": 401,
            "detail": "no valid credentials",
            "code": "DS-801",
            "reasons": [
                {
                    "code": "DS-801",
                    "what": {"zh": "凭证无效", "en": "no valid credentials"},
                    "now": {"zh": "请提供有效的令牌", "en": "send a valid bearer token"},
                    "column": "",
                    "rule": "",
                }
            ],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Route:
    """One address: what it does and what comes back.  ``action``: what it takes; ``None``: open to anyone."""

    method: str
    action: Action | None
    summary: str
    reply: str
    takes: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def extra(self) -> Schema:
        """What FastAPI cannot derive."""
        found: Schema = {} if self.action is None else {"security": [{"token": []}]}
        if self.takes:
            content = {http_reply.JSON: {"schema": _ref(self.takes)}}
            found["requestBody"] = {"required": True, "content": content}
        if self.parameters:
            found["parameters"] = [_parameter(name) for name in self.parameters]
        return found

    @property
    def responses(self) -> dict[int | str, Schema]:
        """The answer, and the problem that any other status bears."""
        content: Schema = {http_reply.JSON: {"schema": _ref(self.reply)}}
        if self.reply == "Answer":
            content[http_reply.CSV] = {"schema": _STRING}
            content[http_reply.ARROW] = {"schema": {**_STRING, "format": "binary"}}
        if self.reply == "Register":
            content[http_reply.CSV] = {"schema": _STRING}
        if self.reply == "Metrics":
            content = {"text/plain": {"schema": _STRING}}
        problem = {http_reply.PROBLEM: {"schema": _ref("Problem")}}
        return {
            200: {"description": "As asked.", "content": content},
            "default": {"description": "A problem.", "content": problem},
        }


def _parameter(name: str) -> Schema:
    values: Schema = {"enum": [f.value for f in http_reply.Form]} if name == "format" else _STRING
    return {"name": name, "in": "query", "required": False, "schema": values}


ROUTES: Final[dict[str, Route]] = {
    "/v1/queries": Route(
        "POST", Action.ASK, "Answer a query, charging the budget.", "Answer", "Query", ("format",)
    ),
    "/v1/explain": Route(
        "POST", Action.EXPLAIN, "Price a query and predict its error; spends nothing.", "Explained", "Query"
    ),
    "/v1/cancel": Route("POST", Action.ASK, "Stop every query that you run or wait for.", "Stopped"),
    "/v1/catalog": Route("GET", Action.CATALOGUE, "Your grants and what each opens.", "Catalog"),
    "/v1/budget": Route("GET", Action.BUDGETS, "What is spent and what is left.", "Balances"),
    "/v1/budget/approvals": Route(
        "POST", Action.RAISE_BUDGET, "Put a raised total in force; the bureau's.", "Balance", "Approval"
    ),
    "/v1/cases": Route(
        "GET", Action.CASES, "Cases that you may see, newest first.", "Cases", parameters=("kind", "state")
    ),
    "/v1/cases/open": Route(
        "POST", Action.CASES, "Open a case: a document, or an incident.", "Case", "Opening"
    ),
    "/v1/cases/{id}": Route("GET", Action.CASES, "One case: its text, its steps, what you may do.", "Case"),
    "/v1/cases/{id}/steps": Route("POST", Action.CASES, "Take a step.", "Case", "Stepping"),
    "/v1/products": Route("GET", Action.PRODUCTS, "The products that you make or may have.", "Products"),
    "/v1/products/{id}": Route(
        "GET",
        Action.PRODUCTS,
        "A product; its parameters are those of the query string.",
        "Answer",
        parameters=("format",),
    ),
    "/v1/statements": Route(
        "GET",
        Action.STATEMENTS,
        "What was delivered in a month, and the fees.",
        "Statement",
        parameters=("month",),
    ),
    "/v1/register": Route(
        "GET",
        Action.CATALOGUE,
        "The public register of grants and products.",
        "Register",
        parameters=("format",),
    ),
    "/v1/supervision": Route(
        "GET",
        Action.SUPERVISION,
        "The report on an operator's month, from the log alone; its own, or any for the bureau.",
        "Supervision",
        parameters=("operator", "month", "lang"),
    ),
    "/v1/freezes": Route("GET", Action.FREEZES, "Every freeze ever made; the bureau's.", "Freezes"),
    "/v1/freezes/new": Route(
        "POST",
        Action.FREEZE,
        "Stop queries at once, or (drill) say what it would stop; the bureau's.",
        "Freeze",
        "Freezing",
    ),
    "/v1/freezes/{id}/lift": Route(
        "POST", Action.FREEZE, "Agree to lift a freeze; a second person completes it; the bureau's.", "Freeze"
    ),
    "/v1/log": Route(
        "GET", Action.LOG, "The audit log, newest first.", "Page", parameters=(*filters.NAMES, "view")
    ),
    "/v1/log/views": Route("GET", Action.LOG, "Your saved views of the log, and those shared.", "Views"),
    "/v1/log/views/save": Route("POST", Action.LOG, "Save filters under a name.", "View", "Saving"),
    "/v1/log/views/drop": Route("POST", Action.LOG, "Forget a saved view.", "Views", "Dropping"),
    "/v1/log/checkpoint": Route(
        "GET", Action.LOG, "The log's signed head, its keys and their rotations.", "Head"
    ),
    "/v1/log/consistency": Route(
        "GET",
        Action.LOG,
        "Proof that the log begins with its first entries.",
        "Consistency",
        parameters=("start",),
    ),
    "/v1/log/{seq}": Route("GET", Action.LOG, "One entry of the log, whole.", "Entry"),
    "/v1/log/{seq}/receipt": Route(
        "GET", Action.LOG, "Proof of one entry, which verifies offline.", "Receipt"
    ),
    "/metrics": Route(
        "GET", Action.METRICS, "Figures of the service, for Prometheus; the bureau's.", "Metrics"
    ),
    "/healthz": Route("GET", None, "Whether the process answers.", "Status"),
    "/readyz": Route(
        "GET", None, "Whether queries can be answered: store, log, confinement; 503 if not.", "Status"
    ),
}


def completed(described: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's description with the shared schemas and the way to authenticate."""
    components = described.setdefault("components", {})
    components["schemas"] = SCHEMAS
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return described
