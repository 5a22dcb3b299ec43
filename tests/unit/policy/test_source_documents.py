"""Source documents: what they may say, and that no secret stands in one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator

from sandbox.policy.documents import Load, RowTest, SourceTable
from sandbox.policy.load import Source, read
from sandbox.policy.mistakes import At
from sandbox.policy.schema import schema_of
from sandbox.policy.tree import plain, trees

WHOLE = """
kind: source
id: his
title: {zh: 医院, en: Hospital}
connector: postgresql
options: {host: db, port: 5432, password: env:HIS, sslmode: require}
tables:
  med.person: public.person
  med.claim:
    table: claim
    columns: {fee: 费用}
    where: [day >= 2024-01-01, fee < 3.50]
    load: {since: updated, key: [claim_id], overlap: 2}
"""
HEAD = "kind: source\nid: his\nconnector: csv\n"


def test_a_whole_document() -> None:
    found = read([Source("a", WHOLE)])
    assert found.mistakes == ()
    rule = found.documents.source("his")
    assert rule is not None and found.documents.source("other") is None
    assert rule.connector == "postgresql" and rule.options["port"] == "5432"
    assert rule.tables["med.person"] == SourceTable("public.person")
    tests = (RowTest("day", ">=", "2024-01-01"), RowTest("fee", "<", Decimal("3.50")))
    load = Load("updated", ("claim_id",), 2)
    assert rule.tables["med.claim"] == SourceTable("claim", {"fee": "费用"}, tests, load)


def test_the_least_document() -> None:
    found = read([Source("a", HEAD + "options: {path: x}\n")])
    assert found.mistakes == () and found.documents.sources[0].tables == {}


def test_a_table_may_be_named_alone() -> None:
    found = read([Source("a", HEAD + "options: {path: x}\ntables:\n  d.t: {table: x}\n")])
    assert found.documents.sources[0].tables == {"d.t": SourceTable("x")}


@pytest.mark.parametrize("name", ["password", "db_secret", "api_key", "TOKEN", "passphrase", "credentials"])
@pytest.mark.parametrize("value", ["hunter2-7712", "env:", "env:9x-7712", "file:", "https://x-7712"])
def test_a_secret_is_a_reference_and_is_never_quoted(name: str, value: str) -> None:
    found = read([Source("a", HEAD + f'options: {{path: x, {name}: "{value}"}}\n')])
    (mistake,) = found.mistakes
    assert mistake.key == f"options.{name}" and "7712" not in str(mistake)
    assert found.documents.sources == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (HEAD, "options"),
        (HEAD + "options: {}\n", "options"),
        (HEAD + "options: {path: [x]}\n", "options.path"),
        (HEAD + "options: {password: [x]}\n", "options.password"),
        (HEAD + "options: {path: x}\ntables: {d: t}\n", "tables.d"),
        (HEAD + "options: {path: x}\ntables: {d.t: {table: t, where: [a]}}\n", "tables.d.t.where[1]"),
        (HEAD + "options: {path: x}\ntables: {d.t: [t]}\n", "tables.d.t"),
        (HEAD + "options: {path: x}\ntables: {d.t: {table: t, load: {key: [a]}}}\n", "tables.d.t.load.since"),
        (HEAD.replace("csv", "No Such") + "options: {path: x}\n", "connector"),
    ],
)
def test_mistakes_are_named(text: str, key: str) -> None:
    found = read([Source("a", text)])
    assert [m.key for m in found.mistakes] == [key]
    assert found.documents.sources == ()


def test_an_id_stands_once() -> None:
    text = HEAD + "options: {path: x}\n---\n" + HEAD + "options: {path: y}\n"
    assert [m.key for m in read([Source("a", text)]).mistakes] == ["id"]


def test_the_schema_agrees() -> None:
    check = Draft202012Validator(schema_of("source"))
    (node,) = trees(WHOLE, At("a"))
    document = plain(node)
    assert isinstance(document, dict) and isinstance(document["options"], dict)
    document["options"]["port"] = 5432
    tables = document["tables"]
    assert isinstance(tables, dict)
    tables["med.claim"]["load"]["overlap"] = 2
    assert check.is_valid(document)
    assert not check.is_valid(document | {"options": {"path": ["x"]}})
    assert not check.is_valid({k: v for k, v in document.items() if k != "connector"})
