"""The second opinion: DuckDB's own account of a text, from an empty twin of the grant's catalogue.

sqlglot and ``resolve`` say what a query reads; here DuckDB says it too, independently, through views,
macros, stars and every odd spelling.  The caller refuses where the two disagree.  Invariants: the twin
holds no data and no file; a text can cost two processes and ``timeout_s`` seconds each, nothing else;
whatever DuckDB cannot read, bind or plan within its limits is ``None``, and no word of DuckDB's is passed on.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from sandbox.engine import found
from sandbox.engine.box import Box
from sandbox.engine.frames import Frame
from sandbox.engine.layers import Layer
from sandbox.engine.plan import PlanFacts
from sandbox.engine.process import Child, ChildGone

__all__ = ["PlanFacts", "Tables", "Twin"]

Tables = Mapping[str, Sequence[tuple[str, str]]]
"""Table id ``dataset.table`` -> (column, DuckDB type) in the table's order."""

_TYPE: Final = re.compile(r"[A-Z][A-Z0-9_ ]*(\(\d+(, ?\d+)?\))?(\[\])?")
_LARGEST_ANSWER: Final = 32 << 20
_START_S: Final = 20.0
_ADDRESS_SPACE: Final = 1536 << 20


class Twin:
    """One limited process that plans texts over empty catalogues.  Questions are serialized."""

    def __init__(self, *, timeout_s: float = 2.0, layers: frozenset[Layer] | None = None) -> None:
        """``timeout_s``: wall clock for one question; the process is killed beyond it.

        ``layers``: of its box; by default all that the machine gives.
        """
        self._timeout_s = timeout_s
        self._layers = layers
        self._lock = threading.Lock()
        self._child: Child | None = None

    def describe(self, catalogue_key: str, tables: Tables, sql: str) -> PlanFacts | None:
        """What ``sql`` would read and compute over ``tables``, or ``None`` if DuckDB cannot say.

        ``catalogue_key`` names the content of ``tables`` (a hash of the grant's catalogue): under one key
        the tables are built once.  Raises ``ValueError`` for a table id or type that cannot be one.
        """
        _check(tables)
        question = {"key": catalogue_key, "sql": sql, "tables": None, "seconds": int(self._timeout_s) + 1}
        with self._lock:
            answer = self._answer(question, tables)
            if answer.get("worn", True):
                self._drop()
            facts = answer.get("facts")
            return None if facts is None else _facts(facts)

    def close(self) -> None:
        """End the process.  A later question would start another."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def box(self) -> Box:
        """What its process may have: code, and memory to plan in."""
        layers = found.available() if self._layers is None else self._layers
        return Box(layers, address_space=_ADDRESS_SPACE)

    def _answer(self, question: dict[str, Any], tables: Tables) -> dict[str, Any]:
        """What the process says; nothing where it ran past its time, or died twice."""
        for _ in range(2):  # one that was killed from outside says nothing about the text
            try:
                answer = self._ask(question)
                if "missing" in answer:
                    answer = self._ask({**question, "tables": {k: list(v) for k, v in tables.items()}})
                return answer
            except ChildGone as gone:
                self._drop()
                if gone.limit:
                    break
        return {}

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._child is None or not self._child.alive:
            self._drop()
            self._child = Child("sandbox.engine.twin_worker", self.box())
            self._child.call(Frame({**question, "key": None}), _START_S, _LARGEST_ANSWER)
        return self._child.call(Frame(question), self._timeout_s, _LARGEST_ANSWER).header

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def _check(tables: Tables) -> None:
    for table, columns in tables.items():
        dataset, dot, name = table.partition(".")
        if not (dataset and dot and name and columns):
            raise ValueError("a twin table is dataset.table and has columns")
        if not all(_TYPE.fullmatch(kind) for _, kind in columns):
            raise ValueError("a twin column has a plain DuckDB type, in capitals")


def _facts(plain: dict[str, Any]) -> PlanFacts:
    return PlanFacts(
        tables=frozenset(plain["tables"]),
        columns=frozenset((table, column) for table, column in plain["columns"]),
        functions=frozenset(plain["functions"]),
        operators=frozenset(plain["operators"]),
        single_select=plain["single_select"],
        foreign=frozenset(plain["foreign"]),
        written=frozenset(plain["written"]),
        syntax=frozenset(plain["syntax"]),
    )
