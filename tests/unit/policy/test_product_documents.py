"""Product documents: what they may say, and that a parameter is one literal, whatever it spells."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sandbox.errors import Code, Refusal
from sandbox.policy.documents import Fee, FeePer, Form, Parameter, Product, Title
from sandbox.policy.load import Source, read
from sandbox.policy.mistakes import At
from sandbox.policy.product_reader import filled, fits, named
from sandbox.policy.schema import schema_of
from sandbox.policy.tree import plain, trees

ASKED = "SELECT COUNT(*) AS n FROM t WHERE a = :a AND b > :b"
PRODUCT = Product(
    id="P",
    grant="G",
    title=Title("甲", "a"),
    form=Form.TABLE,
    sql=ASKED,
    parameters=(("a", Parameter.STRING), ("b", Parameter.INTEGER)),
    epsilon=None,
    schedule="monthly",
    to=("x",),
    fee=Fee("free", Fraction(0), FeePer.MONTH, "CNY"),
)


def mistakes(examples: str, old: str, new: str) -> list[tuple[str, str]]:
    assert examples.count(old) == 1
    return [(m.key, m.expected.en) for m in read([Source("e", examples.replace(old, new))]).mistakes]


def test_a_whole_document(examples: str) -> None:
    found = read([Source("e", examples)]).documents.product("P-044-1")
    assert found is not None and read([]).documents.product("P") is None
    assert (found.grant, found.form, found.schedule) == ("G-2025-022", Form.TABLE, "monthly")
    assert found.parameters == (("from_month", Parameter.DATE),) and found.to == ("省内商业银行",)
    assert found.fee == Fee("cost-plus", Fraction(1200), FeePer.MONTH, "CNY") and found.epsilon is None


def test_the_schema_agrees(examples: str) -> None:
    written = "kind: product" + examples.split("kind: product", 1)[1]
    (node,) = trees(written, At("e", mistakes=[]))
    told = plain(node)
    told["fee"]["price"] = int(told["fee"]["price"])  # type: ignore[index, call-overload, arg-type]  # plain JSON
    validator = Draft202012Validator(schema_of("product"))
    assert validator.is_valid(told) and not validator.is_valid({**told, "more": 1})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("grant: G-2025-022", "grant: G-NONE", "grant"),
        ("form: table ", "form: model ", "form"),
        (">= :from_month", ">= :since", "query.sql"),
        ("from_month: date", "from_month: date, more: date", "query.parameters"),
        ("from_month: date", "from_month: time", "query.parameters.from_month"),
        ("price: 1200", "price: 0", "fee.price"),
        ("price: 1200", "price: 0.00001", "fee.price"),
        ("price: 1200", "price: -1", "fee.price"),
        ("basis: cost-plus", "basis: free", "fee.price"),
        ("basis: cost-plus", "basis: whim", "fee.basis"),
        ("unit: CNY", "unit: yuan", "fee.unit"),
        ("per: month", "per: year", "fee.per"),
        ("to: [省内商业银行]", "to: []", "to"),
        ("schedule: monthly\nto", "schedule: never\nto", "schedule"),
        ("query: {sql: ", "query: {sq: ", "query.sql"),
        ("fee: {", "fees: {", "fee"),
        ("query: {", "asked: {", "query"),
    ],
)
def test_mistakes(examples: str, old: str, new: str, key: str) -> None:
    assert key in [found for found, _ in mistakes(examples, old, new)]


def test_parameters_are_found_where_a_literal_may_stand() -> None:
    assert named("SELECT ':a', \":b\", x::date /* :c */ -- :d\n, :e") == {"e"}
    assert named("SELECT '' :f, 'it''s :g'") == {"f"}


def test_parameters_become_literals() -> None:
    sql = filled(PRODUCT, {"a": "x' OR 1 = 1 --", "b": "-5"})
    assert sql == "SELECT COUNT(*) AS n FROM t WHERE a = ('x'' OR 1 = 1 --') AND b > (-5)"
    dated = replace(PRODUCT, sql="SELECT ':d' FROM t WHERE d = :d", parameters=(("d", Parameter.DATE),))
    assert filled(dated, {"d": "2025-02-28"}) == "SELECT ':d' FROM t WHERE d = (DATE '2025-02-28')"


def test_every_wrong_parameter_is_told() -> None:
    with pytest.raises(Refusal) as caught:
        filled(PRODUCT, {"b": "1; DROP TABLE t", "c": "1"})
    assert [(r.code, r.subject) for r in caught.value.reasons] == [
        (Code.REQUEST, "parameter 'c'"),
        (Code.REQUEST, "parameter 'a'"),
        (Code.REQUEST, "parameter 'b'"),
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Parameter.DATE, "2024-02-29", "2025-02-29"),
        (Parameter.DATE, "1999-12-31", "99-12-31"),
        (Parameter.INTEGER, "-7", "7.0"),
        (Parameter.INTEGER, "0", "٣"),
        (Parameter.DECIMAL, "0.05", "1e3"),
        (Parameter.STRING, "太原", ""),
        (Parameter.STRING, "a b", "a\nb"),
    ],
)
def test_values_by_type(kind: Parameter, good: str, bad: str) -> None:
    assert fits(kind, good) and not fits(kind, bad)


@given(st.text(max_size=30), st.integers(-(10**14), 10**14))
def test_whatever_it_spells_a_parameter_stays_one_literal(text: str, number: int) -> None:
    if not fits(Parameter.STRING, text):
        return
    sql = filled(PRODUCT, {"a": text, "b": str(number)})
    before, after = ASKED.split(":a")
    assert sql.startswith(f"{before}('") and sql.endswith(f"'){after.replace(':b', f'({number})')}")
    inside = sql[len(before) + 2 : len(sql) - len(after.replace(":b", f"({number})")) - 2]
    assert inside.replace("''", "").count("'") == 0 and inside.replace("''", "'") == text
