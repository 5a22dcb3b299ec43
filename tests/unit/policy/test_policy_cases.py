"""Queries kept beside a policy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal
from sandbox.policy.cases import CodePart, PolicyCase, cases, read_cases
from sandbox.policy.load import Source

GOOD = """\
- {grant: G-1, allow: SELECT count(*) FROM t}
- grant: G-1
  refuse: DS-304
  sql: |
    SELECT name
    FROM t
- {grant: G-1, refuse: RAW_OUTPUT, sql: SELECT * FROM t}
"""


def test_cases_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.queries.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert cases(path) == (
        PolicyCase(str(path), 1, "G-1", "SELECT count(*) FROM t", None),
        PolicyCase(str(path), 2, "G-1", "SELECT name\nFROM t\n", Code.USE),
        PolicyCase(str(path), 7, "G-1", "SELECT * FROM t", Code.RAW_OUTPUT),
    )


@pytest.mark.parametrize(
    ("text", "subjects"),
    [
        ("", ["a:1: nothing"]),
        (None, ["a:1: bytes that are not UTF-8"]),
        ("- [", ["a:1: text that is not YAML"]),
        ("[]", ["a:1: a list"]),
        ("- {grant: G-1}", ["a:1: [1]: another set of keys"]),
        ("- {grant: G-1, allow: x, sql: y}", ["a:1: [1]: another set of keys"]),
        ("- {grant: G-1, refuse: DS-1, sql: y}", ["a:1: [1].refuse: DS-1"]),
        ("- {grant: G-1, refuse: [], sql: y}", ["a:1: [1].refuse: a list"]),
        (
            "- {allow: x}\n- {grant: 1, allow: 2}",
            ["a:1: [1].grant: nothing", "a:2: [2].grant: 1", "a:2: [2].allow: 2"],
        ),
    ],
)
def test_mistakes_in_cases(text: str | None, subjects: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        read_cases(Source("a", text))
    assert [r.subject for r in caught.value.reasons] == subjects


def test_schema_of_a_code_lists_both_spellings() -> None:
    assert {"DS-304", "USE"} <= set(CodePart().schema()["enum"])
