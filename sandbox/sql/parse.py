"""Text to one syntax tree: the text gate, sqlglot, and the allow list of syntax.

sqlglot reads SQL; it is no safety net.  After parsing, every node and every argument that is set must
stand in ``syntax.ALLOWED``; anything else is refused by name.  The tree goes no further than
``resolve``.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from sqlglot import Dialect, exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from sandbox.errors import Code, refuse
from sandbox.sql.bounded import Bounded
from sandbox.sql.syntax import check_syntax

# sqlglot logs texts that it cannot read; a query's text belongs in the audit log only.
# By level: ``disabled`` is undone by the first ``logging.config.dictConfig`` of whoever serves.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

MOST_CHARACTERS = 20_000
MOST_NESTING = 60
MOST_TOKENS = 4_000
MOST_DEPTH = 120
DUCKDB = Dialect.get_or_raise("duckdb")
INTERVAL = re.compile(r"-?[0-9]{1,9}( [A-Za-z]{1,12})?")
"""The text of an interval literal: ``90``, ``90 days``."""

ASCII = re.compile(r"[\t\n\r -~]*")
BRACKET = re.compile(r"[()\[\]{}]")
OPENING = re.compile(r"""'[^']*(?:'|$)|"[^"]*(?:"|$)|--[^\n\r]*|/\*""")
COMMENT = re.compile(r"/\*|\*/")


def parse(text: str) -> exp.Query:
    """One SELECT (or set operation) out of untrusted text.

    Refuses with TEXT_*, SYNTAX, SEVERAL_STATEMENTS, NOT_SELECT or CONSTRUCT.
    """
    gate(text)
    tree = _statement(text)
    _depth(tree)
    check_syntax(tree, text)
    return tree


def gate(text: str) -> None:
    """Refuse over-long, deeply nested or oddly encoded text before any parser sees it."""
    if len(text) > MOST_CHARACTERS:
        raise refuse(Code.TEXT_TOO_LONG, f"{len(text)} > {MOST_CHARACTERS}")
    if not text.strip():
        raise refuse(Code.SYNTAX, "the text is empty")
    spans = _spans(text)
    if not ASCII.fullmatch(text):
        _characters(text, spans)
    depth = deepest = 0
    for bracket in BRACKET.findall(_outside(text, spans)):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    if deepest > MOST_NESTING:
        raise refuse(Code.TEXT_NESTING, f"{deepest} > {MOST_NESTING}")


def _spans(text: str) -> list[tuple[int, int]]:
    """Where quoted strings, quoted names and comments stand: from the opening mark to behind the closing."""
    spans = []
    at = 0
    while mark := OPENING.search(text, at):
        at = _comment_end(text, mark.start()) if mark[0] == "/*" else mark.end()
        spans.append((mark.start(), at))
    return spans


def _comment_end(text: str, start: int) -> int:
    """Behind a block comment, which may hold others; without an end it takes the rest."""
    depth = 0
    for mark in COMMENT.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _outside(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without what is quoted or commented."""
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def _characters(text: str, spans: list[tuple[int, int]]) -> None:
    """Refuse the first character that may not stand where it stands."""
    inside = bytearray(len(text))
    for start, end in spans:
        inside[start:end] = b"\1" * (end - start)
    for position, (character, quoted) in enumerate(zip(text, inside, strict=True)):
        if not _plain(character, inside=bool(quoted)):
            raise refuse(Code.TEXT_CHARACTER, f"U+{ord(character):04X} at {position}")


def _plain(character: str, *, inside: bool) -> bool:
    if character in "\t\n\r" or " " <= character <= "~":
        return True
    if ord(character) < 0xA0:
        return False
    category = unicodedata.category(character)
    if inside:
        return category[0] in "LNPSM" or character == "\u3000"
    # Chinese names may stand unquoted; nothing that folds, joins or hides may.
    return category == "Lo" and unicodedata.normalize("NFKC", character) == character


def _statement(text: str) -> exp.Query:
    if "$" in text and "$" in _outside(text, _spans(text)):
        raise refuse(Code.CONSTRUCT, "$", "write values as ordinary literals", "请使用普通字面量")
    try:
        tokens = DUCKDB.tokenize(text)
        if len(tokens) > MOST_TOKENS:
            raise refuse(Code.TEXT_NESTING, f"{len(tokens)} > {MOST_TOKENS}")
        _tokens_apart(tokens)
        _whole_intervals(tokens)
        trees = [t for t in Bounded(dialect=DUCKDB).parse(tokens, text) if t is not None]
    except (SqlglotError, RecursionError, ValueError, AttributeError, IndexError, KeyError, TypeError):
        raise refuse(Code.SYNTAX, "the statement does not parse") from None
    if len(trees) != 1:
        raise refuse(Code.SEVERAL_STATEMENTS)
    tree = trees[0]
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise refuse(Code.NOT_SELECT, tree.key.upper())
    return tree


def _whole_intervals(tokens: Sequence[Token]) -> None:
    """Refuse an interval's text beyond an amount and a unit, of which sqlglot would drop the rest."""
    for before, token in pairwise(tokens):
        quoted = before.token_type is TokenType.INTERVAL and token.token_type is TokenType.STRING
        if quoted and not INTERVAL.fullmatch(token.text):
            raise refuse(Code.LITERAL, "INTERVAL", "write INTERVAL 90 DAY", "请写作 INTERVAL 90 DAY")


def _tokens_apart(tokens: Sequence[Token]) -> None:
    """Refuse what readers split in different ways: texts side by side, and numbers that run into a word."""
    for one, two in pairwise(tokens):
        if one.token_type is two.token_type is TokenType.STRING:
            raise refuse(Code.CONSTRUCT, "'…' '…'", "join texts with ||", "请用 || 连接文本")
        if one.token_type is TokenType.NUMBER and two.start == one.end + 1 and two.text[:1].isalpha():
            found = f"{one.text}{two.text}"[:30]
            raise refuse(
                Code.LITERAL,
                found,
                "write decimal numbers, and AS before a name",
                "请使用十进制数，名称前写 AS",
            )


def _depth(tree: exp.Expr) -> None:
    level: list[exp.Expr] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise refuse(Code.TEXT_NESTING, f"{depth} > {MOST_DEPTH}")
        level = [child for node in level for child in node.iter_expressions()]
