"""``%%sql`` in IPython: ask from a cell, see the answer, keep it in a variable.

    %load_ext sandbox_client

    %%sql --grant G-FLIGHTS-DP --epsilon 0.1 --out flown
    SELECT origin, COUNT(*) AS flights FROM flights WHERE month = :month GROUP BY origin

``:month`` takes the notebook's variable of that name.  A refusal is shown as a cell of its own, not as a
traceback; with ``--out`` the variable then holds nothing.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.display_functions import display
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from sandbox_client.answer import Answer, Explained
from sandbox_client.binding import names
from sandbox_client.client import Client, connect
from sandbox_client.refusals import Error

CLIENT_VARIABLE: Final = "sandbox"
"""The notebook's own client, if it made one under this name; else one is made from the environment."""
KEYWORDS: Final = (
    *(
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP BY",
        "ORDER BY",
        "HAVING",
        "LIMIT",
        "JOIN",
        "LEFT JOIN",
        "ON",
        "WITH",
    ),
    *("WITH", "AS", "AND", "OR", "NOT", "IN", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END", "DATE"),
    *("COUNT(*)", "COUNT(DISTINCT", "SUM(", "AVG(", "MEDIAN(", "STDDEV("),
)
_WORD: Final = re.compile(r"[\w.]*\Z")
_OPTIONS: Final = ("--grant", "--epsilon", "--within", "--out", "--explain")


class _Parser(argparse.ArgumentParser):
    """Options of the magic.  Mistakes are errors of the cell, not an exit of the kernel."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"%%sql: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="%%sql", add_help=False, allow_abbrev=False)
    parser.add_argument("--grant", help="the grant to ask under")
    parser.add_argument("--epsilon", help="how much to spend, such as 0.1")
    parser.add_argument("--within", help="instead: the half-width wanted, such as 100 or 5%%")
    parser.add_argument("--out", help="the variable that keeps the answer")
    parser.add_argument("--explain", action="store_true", help="price it; spend nothing")
    return parser


@magics_class
class SqlMagics(Magics):
    """The magics, over the notebook's client."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._space: dict[str, Any] = shell.user_ns
        self._own: Client | None = None
        self._catalog: tuple[Mapping[str, Any], ...] | None = None

    def client(self) -> Client:
        """The notebook's client, or one from the environment."""
        found = self._space.get(CLIENT_VARIABLE)
        if isinstance(found, Client):
            return found
        if self._own is None:
            self._own = connect()
        return self._own

    @cell_magic
    def sql(self, line: str, cell: str) -> None:
        """Ask what the cell says and show the answer."""
        asked = _parser().parse_args(shlex.split(line))
        if asked.out is not None:
            if not asked.out.isidentifier():
                raise ValueError(f"--out: {asked.out} is no variable's name / 不是变量名")
            self._space[asked.out] = None
        found = self._asked(asked, cell)
        if found is not None and asked.out is not None:
            self._space[asked.out] = found
        if found is not None:
            show(found)

    def _asked(self, asked: argparse.Namespace, cell: str) -> Answer | Explained | None:
        """What came back; a refusal is shown here."""
        client = self.client()
        parameters = {name: self._space[name] for name in names(cell) if name in self._space}
        missing = [name for name in names(cell) if name not in parameters]
        if missing:
            raise ValueError(f"no variable for :{missing[0]} / 没有变量 {missing[0]}")
        verb = client.explain if asked.explain else client.query
        try:
            return verb(cell, parameters, grant=asked.grant, epsilon=asked.epsilon, within=asked.within)
        except Error as refused:
            show(refused)
            return None

    @line_magic
    def sql_refresh(self, line: str) -> None:
        """Look at the catalogue anew for completion."""
        self._catalog = None

    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Granted tables and columns, keywords and options, within a cell of ``%%sql`` alone."""
        text = context.full_text
        if not text.startswith("%%sql"):
            return {"completions": []}
        lines = text.splitlines(keepends=True)
        here = lines[context.cursor_line] if context.cursor_line < len(lines) else ""
        before = here[: context.cursor_position]
        if context.cursor_line == 0:
            fitting = [word for word in _OPTIONS if word.startswith(context.token)]
            return _suggested(fitting, context.token)
        found = _WORD.search(before)
        word = found.group() if found else ""
        return _suggested(self._fitting(word, text.partition("\n")[0]), word)

    def _fitting(self, word: str, head: str) -> list[str]:
        """What could be meant; after ``alias.`` any column."""
        tables = self._tables(head)
        stem, dot, start = word.rpartition(".")
        columns = {c["name"] for table in tables for c in table["columns"]}
        offered = columns if dot else columns | {table["id"].rpartition(".")[2] for table in tables}
        lead = stem + dot
        fitting = sorted(lead + name for name in offered if name.lower().startswith(start.lower()))
        return fitting + ([k for k in KEYWORDS if word and k.startswith(word.upper())] if not dot else [])

    def _tables(self, head: str) -> list[Mapping[str, Any]]:
        """The tables of the grant asked under; of all grants where none is named.  None without a gateway."""
        try:
            client = self.client()
            if self._catalog is None:
                self._catalog = client.catalog()
        except (Error, ValueError):
            return []
        named = re.search(r"--grant[ =](\S+)", head)
        under = named.group(1) if named else client.grant
        return [t for g in self._catalog if under in (None, g["id"]) for t in g["tables"]]


def _suggested(words: list[str], fragment: str) -> SimpleMatcherResult:
    return {
        "completions": [SimpleCompletion(word, type="sql") for word in words],
        "matched_fragment": fragment,
        "suppress": True,
    }


def show(found: Answer | Explained | Error) -> None:
    """Display it.  (IPython's ``display`` has no annotations.)"""
    shown: Callable[[object], object] = display
    shown(found)


def _matcher(magics: SqlMagics) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """Completion as IPython takes it: a function that it can mark, which a method is not."""

    def complete(context: CompletionContext) -> SimpleMatcherResult:
        return magics.complete(context)

    marked: Callable[[CompletionContext], SimpleMatcherResult]
    marked = context_matcher(identifier="sandbox_client")(complete)
    return marked


def install(shell: InteractiveShell) -> None:
    """Add the magics, and completion where the shell completes."""
    magics = SqlMagics(shell)
    shell.register_magics(magics)
    if shell.Completer is not None:
        shell.Completer.custom_matchers.append(_matcher(magics))
