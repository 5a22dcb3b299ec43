"""The queries kept beside a policy file, ``<name>.queries.yaml``: what must be answered, what refused.

A list of ``{grant, allow: sql}`` and ``{grant, refuse: code, sql: sql}``.  They are read here and run
by ``sandbox policy test``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.errors import Code
from sandbox.model import Words
from sandbox.policy.fields import Field, Record, Values
from sandbox.policy.grant_fields import AN_ID
from sandbox.policy.load import Source, sources
from sandbox.policy.mistakes import At, nearest, refusal
from sandbox.policy.parts import ListOf, Schema, Text, shown
from sandbox.policy.tree import Leaf, Node, trees

_CODES: Final = {name: code for code in Code for name in (code.id, code.name)}


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """One query and what must become of it: ``refuse`` is the first code, ``None`` means answered."""

    file: str
    line: int
    grant: str
    sql: str
    refuse: Code | None


class CodePart:
    """A refusal code by number (``DS-304``) or name (``USE``)."""

    def read(self, node: Node, at: At) -> Code | None:
        code = _CODES.get(node.text) if isinstance(node, Leaf) else None
        if code is None:
            expected = nearest(shown(node), _CODES)
            at.wrong(shown(node), expected.en, expected.zh)
        return code

    def schema(self) -> Schema:
        return {"enum": list(_CODES)}


_SQL: Final = Text(lines=True, longest=100_000)
_GRANT: Final = Field("grant", AN_ID, Words("授权编号", "the grant's id"), required=True)
_ALLOW: Final = Field("allow", _SQL, Words("应得到答复的查询", "a query that must be answered"))
_REFUSE: Final = Field("refuse", CodePart(), Words("应得到的拒绝代码", "the code it must be refused with"))
_QUERY: Final = Field("sql", _SQL, Words("应被拒绝的查询", "the query that must be refused"))
_CASES: Final = ListOf(Record((_GRANT, _ALLOW, _REFUSE, _QUERY)), least=1, most=10_000, distinct=False)


def cases(path: str | Path) -> tuple[PolicyCase, ...]:
    """The cases of one file.  Raises ``Refusal`` with a reason a mistake."""
    return tuple(case for source in sources([path]) for case in read_cases(source))


def read_cases(source: Source) -> tuple[PolicyCase, ...]:
    """The cases of one text.  Raises ``Refusal`` with a reason a mistake."""
    at = At(source.name)
    if source.text is None:
        at.wrong("bytes that are not UTF-8", "a UTF-8 file", "UTF-8 编码的文件")
    nodes = trees(source.text or "", at)
    if not nodes and not at.mistakes:
        at.wrong("nothing", "a list of queries", "查询列表")
    found = tuple(case for node in nodes for case in _cases(node, at.on(node.line)))
    if at.mistakes:
        raise refusal(at.mistakes)
    return found


def _cases(node: Node, at: At) -> Iterator[PolicyCase]:
    for values in _CASES.read(node, at) or ():
        case = _case(values)
        if case is not None:
            yield case


def _case(values: Values) -> PolicyCase | None:
    """One case; it holds either ``allow``, or ``refuse`` with ``sql``."""
    written = (values.written(_ALLOW), values.written(_REFUSE), values.written(_QUERY))
    if written not in ((True, False, False), (False, True, True)):
        values.place.wrong("another set of keys", "allow, or refuse and sql", "allow，或 refuse 和 sql")
    grant, sql = values.get(_GRANT), values.get(_ALLOW) or values.get(_QUERY)
    if grant is None or sql is None:
        return None
    return PolicyCase(values.place.file, values.place.line, grant, sql, values.get(_REFUSE))
