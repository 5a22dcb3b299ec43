"""What must hold for every response, whatever was sent.

No 500; nothing of the engine, of Python or of the disk in any byte; no planted value; every refusal is a problem
with a known code and words in both languages; and it came in time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus

import duckdb

import sandbox
from sandbox.errors import Code
from tests.corpus import leaks
from tests.corpus.asker import Reply
from tests.corpus.cases import Canaries, case
from tests.fuzz.target import Seen

SLOWEST_S: Final = 60.0
"""Longer than the engine's own limit for a query, on a machine that does other things too."""

MAY_WAIT: Final = frozenset({Code.ENGINE_LIMIT, Code.BUSY, Code.CLOSING})
"""Refusals of 5xx that hostile queries may meet with: their limit, or a full line."""

_CODES: Final = {code.id: code for code in Code}
_INNARDS: Final = re.compile(
    r"Traceback|\.py\b|site-packages|\bline \d+, in |0x[0-9a-f]{8,}"
    r"|\b(?:Binder|Parser|Catalog|Conversion|Invalid Input|Out of Range|IO|Fatal|INTERNAL|Internal|Syntax) Error\b"
    r"|\b(?:[A-Z]\w+(?:Error|Exception))\b|sqlglot|duckdb|sqlalchemy|opendp|psycopg|pyarrow|uvicorn|starlette"
)
_CASE: Final = case({"id": "FUZZ", "class": "fuzz", "mode": "aggregate", "sql": "", "expected": "deny"})


def faults(seen: Seen, planted: Canaries, home: Path, echoed: Sequence[str] = ()) -> list[str]:
    """What is wrong with a response; ``echoed``: earlier texts that it may show."""
    text = seen.body.decode("utf-8", "replace")
    headers = "\n".join(f"{name}: {value}" for name, value in seen.headers.items())
    told = _told(text)
    own = "\n".join((_sent_text(seen), *echoed))
    found = list(_innards(f"{headers}\n{text}", own, home))
    if seen.status >= 500 and _CODES.get(str(told.get("code"))) not in MAY_WAIT:
        found.append(f"status {seen.status}: {text[:300]}")
    if seen.status >= 400:
        found += _shape(seen, told)
    if seen.seconds > SLOWEST_S:
        found.append(f"took {seen.seconds:.0f} s")
    return found + leaks.forbidden_values(
        Reply("", own, seen.status, text, seen.headers, seen.seconds, (), told), _CASE, planted
    )


def _told(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _sent_text(seen: Seen) -> str:
    """The request's own text as it may come back: as sent, and as JSON reads it."""
    raw = seen.sent.content.decode("utf-8", "replace")
    values = [value for value in _told(raw).values() if isinstance(value, str)]
    return "\n".join([raw, *values, seen.sent.path, unquote_plus(seen.sent.path)])


def _innards(text: str, own: str, home: Path) -> Iterator[str]:
    for match in _INNARDS.finditer(text):
        if match.group() not in own:
            around = text[max(0, match.start() - 60) : match.end() + 60]
            yield f"innards {match.group()!r} in …{around}…"
    for path in (home, Path(sandbox.__file__).parent, Path(duckdb.__file__).parent):
        if str(path) in text:
            yield f"the path {path}"


def _shape(seen: Seen, told: dict[str, Any]) -> Iterator[str]:
    """A refusal: its media type, code, status, and words in both languages."""
    if seen.headers.get("content-type") != "application/problem+json":
        yield f"a refusal as {seen.headers.get('content-type')}"
        return
    code = _CODES.get(str(told.get("code")))
    if code is None or code.status != seen.status or told.get("status") != seen.status:
        yield f"status {seen.status} under the code {told.get('code')}"
    reasons = told.get("reasons") or []
    if not reasons:
        yield "a refusal without reasons"
    for reason in reasons:
        if reason.get("code") not in _CODES:
            yield f"the unknown code {reason.get('code')}"
        words = [reason.get(part, {}).get(language) for part in ("what", "now") for language in ("zh", "en")]
        if not all(words):
            yield f"words are missing: {reason}"
