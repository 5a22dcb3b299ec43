"""The service's own log on standard error: lines for people, or JSON for machines (``observe.logs``).

Invariants: no line holds a query's text, a value, or the text of an exception, of whatever library: where
something was raised, its type and the place in the code are named.  The audit log is another thing.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import traceback
from types import TracebackType
from typing import Any, Final

from opentelemetry import trace

PLAIN, JSON = "plain", "json"
FIELDS: Final = "fields"
"""The attribute of a record that holds facts as a mapping: in JSON they stand apart."""

_LINE: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_NAMES: Final = ("sandbox", "uvicorn", "opentelemetry", "py.warnings")

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def raised(error: BaseException | None, trace: TracebackType | None) -> str:
    """An exception's type and where it was raised, and no word of it."""
    places = traceback.extract_tb(trace)
    where = f" at {places[-1].name}, line {places[-1].lineno}" if places else ""
    return f"{type(error).__name__}{where}"


class Plain(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__(_LINE)

    def formatException(self, ei: Raised) -> str:  # noqa: N802 - the library's name
        """See ``raised``."""
        return raised(ei[1], ei[2])


class Structured(logging.Formatter):
    """A JSON object a line: ``time`` (UTC), ``level``, ``logger``, and ``message`` or the record's own facts.

    ``trace`` is the id of the trace that the line belongs to, where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"time": time, "level": record.levelname, "logger": record.name}
        told |= getattr(record, FIELDS, None) or {"message": record.getMessage()}
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            told["trace"] = trace.format_trace_id(context.trace_id)
        if record.exc_info:
            told["raised"] = raised(record.exc_info[1], record.exc_info[2])
        return json.dumps(told, ensure_ascii=False)


def settings(form: str) -> dict[str, Any]:
    """What ``logging.config`` is told, for ``plain`` or ``json``."""
    formatter = {PLAIN: Plain, JSON: Structured}[form]
    handler = {"class": "logging.StreamHandler", "formatter": "one", "stream": "ext://sys.stderr"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"one": {"()": formatter}},
        "handlers": {"stderr": handler},
        "loggers": {name: {"handlers": ["stderr"], "level": "INFO"} for name in _NAMES},
    }
