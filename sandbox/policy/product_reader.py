"""A product document, from its tree to a frozen ``Product``; and its query with the parameters put in.

Invariants: a parameter reaches the query as one literal of its type, never as text of SQL, and stands where a
literal may stand: outside of strings, quoted names and comments; every parameter is declared, and used.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from sandbox.errors import Code, Reason, Refusal
from sandbox.policy import product_fields as f
from sandbox.policy.canonical import fingerprint
from sandbox.policy.dataset_fields import title_of
from sandbox.policy.documents import Fee, Parameter, Product
from sandbox.policy.fields import Values
from sandbox.policy.mistakes import At
from sandbox.policy.tree import Fields, plain

_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | :: | :([a-z][a-z0-9_]*)""",
    re.VERBOSE | re.DOTALL,
)
"""What must be stepped over, and a parameter."""

_SPELT: Final[Mapping[Parameter, re.Pattern[str]]] = {
    Parameter.DATE: re.compile(r"(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"),
    Parameter.INTEGER: re.compile(r"-?[0-9]{1,15}"),
    Parameter.DECIMAL: re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?"),
    Parameter.STRING: re.compile(r"[^\x00-\x1f\x7f]{1,100}"),
}


def read_product(node: Fields, at: At) -> Product | None:
    """The product, or ``None`` if anything in the document is a mistake (all are noted)."""
    before = len(at.mistakes)
    values = f.PRODUCT.values(node, at)
    query, fee = values.get(f.QUERY), values.get(f.FEE)
    title, form, schedule = values.get(f.PRODUCT_TITLE), values.get(f.FORM), values.get(f.SCHEDULE)
    if query is not None:
        _check_names(query)
    found = None if fee is None else _fee(fee)
    sql = None if query is None else query.get(f.SQL)
    if len(at.mistakes) > before or None in (query, title, form, schedule, found, sql):
        return None
    assert query is not None and title is not None and form is not None
    assert found is not None and sql is not None and schedule is not None
    return Product(
        id=values.get(f.ID) or "",
        grant=values.get(f.GRANT) or "",
        title=title_of(title),
        form=form,
        sql=sql,
        parameters=_parameters(query),
        epsilon=query.get(f.EPSILON),
        schedule=schedule.value,
        to=values.get(f.TO) or (),
        fee=found,
        hash=fingerprint(plain(node)),
    )


def named(sql: str) -> frozenset[str]:
    """The parameters that a query names."""
    return frozenset(m.group(1) for m in _TOKEN.finditer(sql) if m.group(1))


def filled(product: Product, given: Mapping[str, str]) -> str:
    """The product's query for these parameters.  Refuses ``Code.REQUEST``, every mistake at once."""
    wrong = [_reason(name, "?") for name in given if name not in dict(product.parameters)]
    wrong += [
        _reason(name, kind.value)
        for name, kind in product.parameters
        if name not in given or not fits(kind, given[name])
    ]
    if wrong:
        raise Refusal(*wrong)
    literals = {name: _literal(kind, given[name]) for name, kind in product.parameters}
    return _TOKEN.sub(lambda m: literals[m.group(1)] if m.group(1) else m.group(0), product.sql)


def fits(kind: Parameter, text: str) -> bool:
    """Whether the text spells a value of this type."""
    if not _SPELT[kind].fullmatch(text):
        return False
    if kind is not Parameter.DATE:
        return True
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _literal(kind: Parameter, text: str) -> str:
    """A literal in parentheses, so that a sign or a prefix cannot join what stands before it."""
    quoted = "'" + text.replace("'", "''") + "'"
    spelt = {Parameter.DATE: f"DATE {quoted}", Parameter.STRING: quoted}
    return f"({spelt.get(kind, text)})"


def _reason(name: str, kind: str) -> Reason:
    known = "no such parameter" if kind == "?" else f"give a value of type {kind}"
    zh = "没有此参数" if kind == "?" else f"请给出 {kind} 类型的值"
    return Reason(Code.REQUEST, f"parameter {name[:40]!a}", known, zh)


def _parameters(query: Values) -> tuple[tuple[str, Parameter], ...]:
    entries = query.get(f.PARAMETERS) or {}
    return tuple((name, entry.value) for name, entry in entries.items() if entry.value is not None)


def _check_names(query: Values) -> None:
    entries = query.get(f.PARAMETERS)
    declared = set() if entries is None else set(entries)
    used = named(query.get(f.SQL) or "")
    for name in sorted(used - declared):
        query.at(f.SQL).wrong(f":{name}", "a parameter that is declared", "须在 parameters 中声明")
    for name in sorted(declared - used):
        query.at(f.PARAMETERS).wrong(name, "a parameter that the query names", "查询中未使用该参数")


def _fee(values: Values) -> Fee | None:
    basis, price = values.get(f.BASIS), values.get(f.PRICE)
    per, unit = values.get(f.PER), values.get(f.CURRENCY)
    if price is not None and (price * 10_000).denominator != 1:
        values.at(f.PRICE).wrong(str(price), "at most four decimals", "至多四位小数")
    if price is not None and basis is not None and (basis == "free") != (price == Fraction(0)):
        values.at(f.PRICE).wrong(str(price), "a price of 0 exactly where free", "仅 free 的价格为 0")
    if basis is None or price is None or per is None or unit is None:
        return None
    return Fee(basis, price, per, unit)
