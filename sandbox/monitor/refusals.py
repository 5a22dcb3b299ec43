"""Rules over refusals: what somebody tried and was not given (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sandbox.model import LogEntry
from sandbox.monitor.rule import Evidence, seqs

REFUSAL: Final = "refusal"
TELLING: Final = frozenset({"DS-105", "DS-106", "DS-206"})
"""Several statements, no SELECT, two readers that disagree: no slip of an analyst's."""

_NAMES: Final = "DS-2"

_OUTSIDE: Final = re.compile(
    r"""\b(read_(csv|parquet|json|text|blob|ndjson)\w*|parquet_scan|glob|attach|copy|pragma|getenv|sniff_csv
    |(duckdb|pg|sqlite|arrow)_\w+|information_schema|current_setting|query_table|json_execute\w*
    |prepare|execute|load|install)\b|/(etc|proc|tmp)/|https?:|s3:""",
    re.IGNORECASE | re.VERBOSE,
)
"""Files, networks, settings and catalogues of engines: nothing that a question about data needs."""


def repeated(entries: Sequence[LogEntry], *, least: int = 4, names: int = 8) -> Evidence:
    """The newest is the ``least``-th refusal of one hundred of codes (text, policy, privacy …).

    Of names and types it takes ``names``: they are what a slip of the pen is refused with.
    """
    hundred = _hundred(entries[-1])
    same = [e for e in entries if _hundred(e) == hundred]
    return seqs(same) if hundred and len(same) >= (names if hundred == _NAMES else least) else ()


def storm(entries: Sequence[LogEntry], *, least: int = 4, part: float = 0.75) -> Evidence:
    """``least`` refusals of any class, and they are at least this ``part`` of all that was asked."""
    refused = [e for e in entries if e.kind == REFUSAL]
    busy = len(refused) >= least and len(refused) >= part * len(entries)
    return seqs(refused) if busy and entries[-1].kind == REFUSAL else ()


def reaching(entries: Sequence[LogEntry], *, least: int = 2) -> Evidence:
    """The newest is the ``least``-th refusal with a telling code, or of a text that reaches outside."""
    found = [e for e in entries if _telling(e)]
    return seqs(found) if len(found) >= least and found[-1] is entries[-1] else ()


def _telling(entry: LogEntry) -> bool:
    refused = entry.kind == REFUSAL
    return refused and (bool(TELLING & set(entry.codes)) or _OUTSIDE.search(entry.text) is not None)


def _hundred(entry: LogEntry) -> str:
    """The class of a refusal: ``DS-3`` for policy."""
    return entry.codes[0][:4] if entry.kind == REFUSAL and entry.codes else ""
