"""Cases through the real gateway: what was approved is in force, what was not is not, and what follows."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal

import pytest
from sqlalchemy import insert, select, text, update

from sandbox.casework.desk import CaseDesk
from sandbox.casework.month import ZONE
from sandbox.casework.register import as_csv, as_json, register
from sandbox.errors import Code, Refusal
from sandbox.gateway import Gateway, open_gateway
from sandbox.home import Home
from sandbox.model import Answer, Person, Refused, Request
from sandbox.policy.workflow.states import Kind, State, Verb
from sandbox.store.audit import AuditLog, Event
from sandbox.store.cases import Case, Cases
from sandbox.store.database import Database
from sandbox.store.freezes import Scope
from sandbox.store.schema import audit, audit_personal, cases

OPERATOR = Person("ann", "operator", "shopkeepers")
OWNER = Person("owen", "owner", "测试")
BUREAU = Person("bea", "bureau", "bureau")
SECOND = Person("bob", "bureau", "bureau")
BANK = Person("carl", "operator", "bank")
RIVAL = Person("dan", "operator", "rivals")

GRANT = """
kind: grant
id: G-NEW
to: shopkeepers
scenario: {id: S-1, zh: 测试, en: Test}
purpose: =测试
period: {from: 2025-01-01, until: 2030-12-31}
data:
  shop.visit: [person_id, city, kind, fee]
guard: {mode: dp, epsilon: {query: 1, total: 4}, delta: 1.0e-6, groups: 4, units: 5}
release: auto
"""
PRODUCT = """
kind: product
id: P-1
grant: G-NEW
title: {zh: 城市指数, en: City index}
form: table
query: {sql: "SELECT city, COUNT(*) AS n FROM visit WHERE kind = :kind GROUP BY city", parameters: {kind: integer}}
schedule: monthly
to: [bank]
fee: {basis: cost-plus, price: 0.10, per: delivery, unit: CNY}
"""
DATASET = """
kind: dataset
id: other
title: {zh: 另一个, en: Other}
owner: 测试
class: 测试/阶段
level: 3
important: true
share: conditional
why: {reason: 测试, basis: 测试}
snapshot: once
tables:
  code: {public: true, columns: {no: {type: integer, use: [group]}}}
"""


def asked(gateway: Gateway, grant: str = "G-NEW") -> Answer | Refused:
    sql = "SELECT city, COUNT(*) AS n FROM visit GROUP BY city"
    return gateway.query(Request("r", OPERATOR, grant, sql, None, dt.datetime.now(dt.UTC)))


def granted(gateway: Gateway, words: str = GRANT) -> Case:
    desk = gateway.casework
    case = desk.open(OPERATOR, Kind.GRANT, words)
    desk.act(OPERATOR, case.id, Verb.SUBMIT)
    desk.act(OWNER, case.id, Verb.ADVISE, hash=case.hash, note="同意")
    return desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash)


def published(gateway: Gateway, words: str = PRODUCT) -> Case:
    case = gateway.casework.open(OPERATOR, Kind.PRODUCT, words)
    gateway.casework.act(OPERATOR, case.id, Verb.SUBMIT)
    return gateway.casework.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash)


def code(caught: pytest.ExceptionInfo[Refusal]) -> Code:
    return caught.value.code


def test_a_grant_is_in_force_from_its_approval_to_its_revocation(gateway: Gateway) -> None:
    desk = gateway.casework
    case = desk.open(OPERATOR, Kind.GRANT, GRANT)
    for person, verb in ((OPERATOR, Verb.SUBMIT), (OWNER, Verb.ADVISE)):
        assert isinstance(asked(gateway), Refused)
        case = desk.act(person, case.id, verb, hash=case.hash, note="同意")
    assert case.state is State.ADVISED and isinstance(asked(gateway), Refused)
    case = desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash)
    assert case.state is State.IN_FORCE and isinstance(asked(gateway), Answer)
    desk.act(SECOND, case.id, Verb.REVOKE, note="违规使用")
    assert isinstance(asked(gateway), Refused)
    steps = desk.steps(OPERATOR, case.id)
    assert [s.verb for s in steps] == [Verb.OPEN, Verb.SUBMIT, Verb.ADVISE, Verb.APPROVE, Verb.REVOKE]
    for step in steps:
        entry = gateway.store.audit.entry(step.seq)
        assert entry is not None and entry.kind == Event.CASE and entry.person == step.person
        assert json.loads(entry.payload)["hash"] == step.hash == case.hash
        assert gateway.desk.receipt(BUREAU, step.seq).index == step.seq


def test_a_changed_text_is_a_draft_and_has_no_opinion_or_approval(gateway: Gateway) -> None:
    desk = gateway.casework
    case = desk.open(OPERATOR, Kind.GRANT, GRANT)
    desk.act(OPERATOR, case.id, Verb.SUBMIT)
    desk.act(OWNER, case.id, Verb.ADVISE, hash=case.hash, note="同意")
    later = desk.act(OPERATOR, case.id, Verb.REVISE, text=GRANT.replace("total: 4", "total: 9"))
    assert later.state is State.DRAFT and later.hash != case.hash
    desk.act(OPERATOR, case.id, Verb.SUBMIT)
    with pytest.raises(Refusal) as caught:
        desk.act(OWNER, case.id, Verb.ADVISE, hash=case.hash, note="同意")
    assert code(caught) is Code.CASE_CHANGED
    with pytest.raises(Refusal) as caught:
        desk.act(BUREAU, case.id, Verb.APPROVE, hash=later.hash)
    assert code(caught) is Code.STATE


def test_two_owners_are_both_heard_and_important_data_takes_two_people(gateway: Gateway) -> None:
    desk = gateway.casework
    case = desk.open(OWNER, Kind.DATASET, DATASET)
    desk.act(OWNER, case.id, Verb.SUBMIT)
    assert desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash).state is State.SUBMITTED
    assert Verb.APPROVE not in desk.may(BUREAU, desk.case(BUREAU, case.id))
    with pytest.raises(Refusal) as caught:
        desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash)
    assert code(caught) is Code.TWO_PEOPLE
    assert desk.act(SECOND, case.id, Verb.APPROVE, hash=case.hash).state is State.APPROVED
    assert gateway.documents().dataset("other") is None
    desk.act(OWNER, case.id, Verb.ENACT, hash=case.hash)
    assert gateway.documents().dataset("other") is not None
    theirs = DATASET.replace("id: other", "id: third").replace("测试\nclass", "第三方\nclass")
    third = Person("tina", "owner", "第三方")
    case = desk.open(third, Kind.DATASET, theirs.replace("important: true\n", ""))
    desk.act(third, case.id, Verb.SUBMIT)
    desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash)
    desk.act(third, case.id, Verb.ENACT, hash=case.hash)
    both = GRANT.replace("guard:", "  third.code: all\nguard:")
    case = desk.open(OPERATOR, Kind.GRANT, both)
    desk.act(OPERATOR, case.id, Verb.SUBMIT)
    first = desk.act(OWNER, case.id, Verb.ADVISE, hash=case.hash, note="同意")
    assert first.state is State.SUBMITTED
    assert desk.act(third, case.id, Verb.ADVISE, hash=case.hash, note="同意").state is State.ADVISED


def test_a_later_version_replaces_and_what_rests_on_it_is_checked(gateway: Gateway) -> None:
    first, product = granted(gateway), published(gateway)
    later = granted(gateway, GRANT.replace("total: 4", "total: 5"))
    desk = gateway.casework
    assert desk.case(BUREAU, first.id).state is State.REPLACED
    assert desk.steps(BUREAU, first.id)[-1].person == "sandbox"
    with pytest.raises(Refusal) as caught:
        desk.act(BUREAU, later.id, Verb.REVOKE, note="停止")
    assert code(caught) is Code.DOCUMENT
    assert "/" not in caught.value.reasons[0].subject
    desk.act(OPERATOR, product.id, Verb.WITHDRAW)
    assert desk.act(BUREAU, later.id, Verb.REVOKE, note="停止").state is State.REVOKED


def test_a_regrade_that_would_break_an_open_grant_is_refused(gateway: Gateway) -> None:
    desk = gateway.casework
    words = DATASET.replace("important: true\n", "")
    versions = []
    for version in (words, words.replace("use: [group]", "use: []")):
        case = desk.open(OWNER, Kind.DATASET, version)
        desk.act(OWNER, case.id, Verb.SUBMIT)
        versions.append(desk.act(BUREAU, case.id, Verb.APPROVE, hash=case.hash))
        if len(versions) == 1:
            desk.act(OWNER, case.id, Verb.ENACT, hash=case.hash)
            granted(gateway, GRANT.replace("guard:", "  other.code: [no]\nguard:"))
    with pytest.raises(Refusal) as caught:
        desk.act(OWNER, versions[1].id, Verb.ENACT, hash=versions[1].hash)
    assert code(caught) is Code.DOCUMENT
    assert [c.state for c in desk.cases(OWNER, Kind.DATASET)] == [State.APPROVED, State.IN_FORCE]


@pytest.mark.parametrize(
    ("person", "kind", "words", "refused"),
    [
        (RIVAL, Kind.GRANT, GRANT, Code.ROLE),
        (BANK, Kind.GRANT, GRANT, Code.ROLE),
        (OWNER, Kind.DATASET, DATASET.replace("测试\nclass", "别人\nclass"), Code.ROLE),
        (OPERATOR, Kind.GRANT, GRANT.replace("G-NEW", "G-DP"), Code.DUPLICATE),
        (OPERATOR, Kind.GRANT, GRANT.replace("G-NEW", "g-dp"), Code.DUPLICATE),
        (OPERATOR, Kind.GRANT, GRANT + "---" + GRANT.replace("G-NEW", "G-2"), Code.REQUEST),
        (OPERATOR, Kind.GRANT, DATASET, Code.REQUEST),
        (OPERATOR, Kind.GRANT, GRANT.replace("city", "town"), Code.DOCUMENT),
        (OPERATOR, Kind.GRANT, "{", Code.REQUEST),
        (OPERATOR, Kind.GRANT, GRANT + "# \x1b[2J", Code.REQUEST),
        (OPERATOR, Kind.GRANT, "", Code.REQUEST),
        (OPERATOR, Kind.GRANT, "#" * 60_001, Code.REQUEST),
        (OPERATOR, Kind.PRODUCT, PRODUCT, Code.DOCUMENT),
        (RIVAL, Kind.PRODUCT, PRODUCT.replace("G-NEW", "G-DP"), Code.ROLE),
    ],
)
def test_what_is_no_case(gateway: Gateway, person: Person, kind: Kind, words: str, refused: Code) -> None:
    with pytest.raises(Refusal) as caught:
        gateway.casework.open(person, kind, words)
    assert code(caught) is refused
    assert gateway.casework.cases(BUREAU) == ()


def test_cases_are_seen_by_who_has_a_part_in_them(gateway: Gateway) -> None:
    case = granted(gateway)
    for person in (OPERATOR, OWNER, BUREAU):
        assert gateway.casework.case(person, case.id).document == "G-NEW"
    for person in (RIVAL, BANK, Person("x", "owner", "others")):
        assert gateway.casework.cases(person) == ()
        with pytest.raises(Refusal) as caught:
            gateway.casework.act(person, case.id, Verb.WITHDRAW)
        assert code(caught) is Code.NOT_FOUND
    analyst = Person("y", "analyst", OPERATOR.organisation)
    for tried in (lambda: gateway.casework.cases(analyst), lambda: gateway.casework.case(analyst, case.id)):
        with pytest.raises(Refusal) as caught:
            tried()
        assert code(caught) is Code.ROLE


def test_incidents_keep_notes_and_are_closed_by_another(gateway: Gateway) -> None:
    desk = gateway.casework
    case = desk.open(BUREAU, Kind.INCIDENT, "异常查询\n第二行")
    with pytest.raises(Refusal) as caught:
        desk.act(BUREAU, case.id, Verb.NOTE, note=" ")
    assert code(caught) is Code.REQUEST
    desk.act(BUREAU, case.id, Verb.NOTE, note="已冻结")
    with pytest.raises(Refusal) as caught:
        desk.act(BUREAU, case.id, Verb.CLOSE, note="完")
    assert code(caught) is Code.OWN_WORK
    assert desk.act(SECOND, case.id, Verb.CLOSE, note="完").state is State.CLOSED
    assert gateway.documents().grant("G-DP") is not None


def test_a_text_or_state_changed_behind_the_log_is_not_in_force(gateway: Gateway) -> None:
    case = granted(gateway)
    assert isinstance(asked(gateway), Answer)
    for change in ({"text": GRANT.replace("total: 4", "total: 9")}, {"hash": "0" * 64}):
        kept = {"text": case.text, "hash": case.hash}
        with gateway.database.write() as connection:
            connection.execute(update(cases).where(cases.c.id == case.id).values(**change))
        with pytest.raises(Refusal) as caught:
            Cases(gateway.database, gateway.store.audit).in_force()
        assert code(caught) is Code.LOG_DAMAGED
        with gateway.database.write() as connection:
            connection.execute(update(cases).where(cases.c.id == case.id).values(**kept))
    draft = gateway.casework.open(OPERATOR, Kind.GRANT, GRANT.replace("total: 4", "total: 9"))
    with gateway.database.write() as connection:
        connection.execute(update(cases).where(cases.c.id == draft.id).values(state="in-force"))
    refused = asked(gateway)
    assert isinstance(refused, Refused) and refused.reasons[0].code is Code.LOG_DAMAGED


def test_a_grant_whose_last_day_is_over_expires(gateway: Gateway, home: Home) -> None:
    case, kept = granted(gateway), granted(gateway, GRANT.replace("G-NEW", "G-SOLD"))
    product = published(gateway, PRODUCT.replace("G-NEW", "G-SOLD"))
    tomorrow = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    gateway.follow()
    assert gateway.casework.case(BUREAU, case.id).state is State.IN_FORCE
    later = CaseDesk(
        gateway.database, Cases(gateway.database, gateway.store.audit), home.policies, lambda: tomorrow
    )
    assert later.expire() == 1 and later.expire() == 0
    assert later.case(BUREAU, case.id).state is State.EXPIRED
    assert later.case(BUREAU, kept.id).state is State.IN_FORCE  # a product rests on it; it answers nothing
    later.act(OPERATOR, product.id, Verb.WITHDRAW)
    assert later.expire() == 1


def test_a_product_is_delivered_metered_and_billed(gateway: Gateway) -> None:
    granted(gateway)
    published(gateway)
    products = gateway.products
    assert [p.id for p in products.list(BANK)] == ["P-1"] == [p.id for p in products.list(BUREAU)]
    assert products.list(RIVAL) == ()
    first, again = (products.deliver(BANK, "P-1", {"kind": "1"}) for _ in range(2))
    other = products.deliver(BANK, "P-1", {"kind": "0"})
    assert isinstance(first, Answer) and isinstance(again, Answer) and isinstance(other, Answer)
    assert first.table.equals(again.table) and again.price is not None and again.price.free
    assert first.proof is not None
    for person, given, refused in (
        (RIVAL, {"kind": "1"}, Code.NOT_FOUND),
        (BANK, {"kind": "1 OR TRUE"}, Code.REQUEST),
        (BANK, {}, Code.REQUEST),
    ):
        with pytest.raises(Refusal) as caught:
            products.deliver(person, "P-1", given)
        assert code(caught) is refused
    month = f"{dt.datetime.now(ZONE):%Y-%m}"
    (line,) = products.statement(BANK, month)
    assert (line.deliveries, line.amount, line.recipient, line.provider) == (3, "0.3", "bank", "shopkeepers")
    assert Decimal(line.price) == Decimal("0.10") and len(line.entries) == 3
    assert len(products.statement(OPERATOR, month)) == len(products.statement(BUREAU, month)) == 1
    assert products.statement(RIVAL, month) == () and products.statement(BUREAU, "1999-12") == ()
    for wrong in ("", "2026-13", "9999-12"):
        with pytest.raises(Refusal) as caught:
            products.statement(BANK, wrong)
        assert code(caught) is Code.REQUEST
    gateway.freeze(BUREAU, Scope.GRANT, "G-NEW", "停")
    refused_now = products.deliver(BANK, "P-1", {"kind": "1"})
    assert isinstance(refused_now, Refused) and refused_now.reasons[0].code is Code.FROZEN
    assert len(products.statement(BANK, month)[0].entries) == 3


def test_the_register_is_made_from_the_log_alone(gateway: Gateway, home: Home) -> None:
    granted(gateway)
    product = published(gateway)
    gateway.casework.open(OPERATOR, Kind.GRANT, GRANT.replace("G-NEW", "G-DRAFT"))
    gateway.casework.act(OPERATOR, product.id, Verb.WITHDRAW)
    gateway.casework.act(
        OPERATOR, gateway.casework.open(OPERATOR, Kind.GRANT, GRANT.replace("G-NEW", "G-X")).id, Verb.WITHDRAW
    )
    rows = gateway.register()
    assert [(r["kind"], r["id"], r["state"]) for r in rows] == [
        ("grant", "G-NEW", "in-force"),
        ("product", "P-1", "withdrawn"),
    ]
    assert rows[1]["fee"] == "0.1 CNY / delivery (cost-plus)" and rows[1]["organisation"] == "bank"
    told = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert told[0]["purpose"] == "'=测试" and told[0]["until"] == "2030-12-31"
    assert not any(name in as_csv(rows) + as_json(rows) for name in ("ann", "owen", "bea", "SELECT"))
    copy = Database(home.path / "copy.db")
    with gateway.database.read() as source, copy.write() as target:
        for table in (audit, audit_personal):
            target.execute(insert(table), [dict(row._mapping) for row in source.execute(select(table))])
    assert as_csv(register(copy)) == as_csv(rows) and as_json(register(copy)) == as_json(rows)
    with copy.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM cases")).scalar_one() == 0
    copy.close()


def test_another_gateway_over_the_store_sees_the_step(gateway: Gateway, home: Home) -> None:
    beside = open_gateway(home)
    try:
        assert beside.documents().grant("G-NEW") is None
        granted(gateway)
        assert beside.documents().grant("G-NEW") is not None
    finally:
        beside.close()


def test_of_two_who_act_at_once_the_second_is_told(gateway: Gateway) -> None:
    store = Cases(gateway.database, AuditLog(gateway.database))
    case = gateway.casework.open(OPERATOR, Kind.GRANT, GRANT)
    gateway.casework.act(OPERATOR, case.id, Verb.SUBMIT)
    with pytest.raises(Refusal) as caught:
        store.move(case, Verb.WITHDRAW, State.WITHDRAWN, OPERATOR, "", dt.datetime.now(dt.UTC))
    assert code(caught) is Code.CASE_CHANGED
