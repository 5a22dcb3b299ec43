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


def parse(text: str) -> exp.Query:
    """One SELECT (or set operation) out of untrusted text.

    Refuses with TEXT_*, SYNTAX, SEVERAL_STATEMENTS, NOT_SELECT or CONSTRUCT.
    """
    gate(text)
    tree = _statement(text)
    _depth(tree)
    check_syntax(tree)
    return tree


def gate(text: str) -> None:
    """Refuse over-long, deeply nested or oddly encoded text before any parser sees it."""
    if len(text) > MOST_CHARACTERS:
        raise refuse(Code.TEXT_TOO_LONG, f"{len(text)} > {MOST_CHARACTERS}")
    if not text.strip():
        raise refuse(Code.SYNTAX, "the text is empty")
    quoted = _quoted(text)
    depth = deepest = 0
    for position, (character, inside) in enumerate(zip(text, quoted, strict=True)):
        if not _plain(character, inside=inside):
            raise refuse(Code.TEXT_CHARACTER, f"U+{ord(character):04X} at {position}")
        if not inside:
            depth += (character in "([{") - (character in ")]}")
            deepest = max(deepest, depth)
    if deepest > MOST_NESTING:
        raise refuse(Code.TEXT_NESTING, f"{deepest} > {MOST_NESTING}")


def _quoted(text: str) -> list[bool]:
    """For each character whether it stands inside a quoted string or name, or a comment."""
    inside: list[bool] = []
    closing = ""
    for position, character in enumerate(text):
        if closing:
            inside.append(True)
            if text.startswith(closing, position - len(closing) + 1) or (
                closing == "\n" and character == "\r"
            ):
                closing = ""
        else:
            opened = text[position : position + 2]
            closing = {"--": "\n", "/*": "*/"}.get(opened, character if character in "'\"" else "")
            inside.append(closing in ("\n", "*/"))
    return inside


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
    if "$" in text and "$" in _outside(text):
        raise refuse(Code.CONSTRUCT, "$", "write values as ordinary literals", "请使用普通字面量")
    try:
        tokens = DUCKDB.tokenize(text)
        if len(tokens) > MOST_TOKENS:
            raise refuse(Code.TEXT_NESTING, f"{len(tokens)} > {MOST_TOKENS}")
        _tokens_apart(tokens)
        _whole_intervals(tokens)
        trees = [t for t in DUCKDB.parser().parse(tokens, text) if t is not None]
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


def _outside(text: str) -> str:
    return "".join(c for c, inside in zip(text, _quoted(text), strict=True) if not inside)


def _depth(tree: exp.Expr) -> None:
    level: list[exp.Expr] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise refuse(Code.TEXT_NESTING, f"{depth} > {MOST_DEPTH}")
        level = [child for node in level for child in node.iter_expressions()]
