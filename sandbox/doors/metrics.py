"""Figures for whoever runs the service, in Prometheus' text form, for the bureau's eyes alone.

Invariants: no label holds a person, a grant, a query's text or a value; stages are those that end before data
is touched, as in ``Server-Timing``; one registry an application, so nothing is shared between two of them.
"""

from __future__ import annotations

import threading
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from sandbox.doors.http_reply import TIMED
from sandbox.model import Answer, Refused

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """What one application has done since it started."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "sandbox_http_requests",
            "Responses by address and status",
            ["path", "status"],
            registry=self._registry,
        )
        self._answers = Counter(
            "sandbox_answers", "Answers by mode, and whether anything was paid", ["mode", "free"],
            registry=self._registry,
        )  # fmt: skip
        self._refusals = Counter(
            "sandbox_refusals", "Refusals by their first reason", ["code"], registry=self._registry
        )
        self._stages = Histogram(
            "sandbox_stage_seconds", "Stages before data is touched", ["stage"], buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._running = Gauge("sandbox_queries_running", "Queries that run", registry=self._registry)
        self._waiting = Gauge("sandbox_queries_waiting", "Queries in line", registry=self._registry)
        self._threads = Gauge("sandbox_threads", "Python threads of this process", registry=self._registry)

    def responded(self, path: str, status: int) -> None:
        """A response left.  ``path``: one of our addresses, or ``other``."""
        self._requests.labels(path, str(status)).inc()

    def queried(self, found: Answer | Refused) -> None:
        """A query came to its end."""
        if isinstance(found, Refused):
            self._refusals.labels(found.reasons[0].code.id).inc()
            return
        free = found.price is not None and found.price.free
        self._answers.labels(found.mode, str(free).lower()).inc()
        for stage, seconds in found.timings:
            if stage in TIMED:
                self._stages.labels(stage).observe(seconds)

    def text(self, running: int, waiting: int) -> bytes:
        """Everything, with how many queries run and wait at this moment."""
        self._running.set(running)
        self._waiting.set(waiting)
        self._threads.set(threading.active_count())
        return generate_latest(self._registry)
