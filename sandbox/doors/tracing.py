"""Traces of what the service did, sent to a collector (OpenTelemetry, OTLP) if ``observe.traces`` is set.

One span a request: method, address, status; of a query also mode, whether it was free, the code it was
refused with, and the stages that end before data is touched.  Invariants: no attribute holds a text that was
sent, a name, a grant or a value; no exception is recorded; what a client says of its own trace is neither
believed nor passed on; a collector that is away costs no answer, and a bounded number of spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, Span, SpanKind, StatusCode, Tracer

import sandbox
from sandbox.doors.http_reply import TIMED
from sandbox.errors import Code, refuse
from sandbox.model import Answer, Refused

SERVICE: Final = "data-sandbox"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
TIMEOUT_S: Final = 5.0
"""How long a collector may take to accept what it is sent."""


class Traces:
    """Where spans are made, and what ends that.  Without a place nobody keeps them, at next to no cost."""

    def __init__(self, place: str = "") -> None:
        """``place``: the collector's address.  Refuses ``DOCUMENT`` where the libraries are missing."""
        self._provider = _provider(place) if place else None
        made = (
            NoOpTracer()
            if self._provider is None
            else self._provider.get_tracer(SERVICE, sandbox.__version__)
        )
        self._tracer: Tracer = made

    @contextmanager
    def request(self, method: str) -> Iterator[Span]:
        """A span around one request.  Its name and address are told by ``responded``."""
        with self._tracer.start_as_current_span(
            "request",
            context=Context(),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method if method in METHODS else "_OTHER"},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def close(self) -> None:
        """Send what is left, for a bounded while."""
        if self._provider is not None:
            self._provider.shutdown()


def responded(span: Span, route: str, status: int) -> None:
    """Say how a request ended.  ``route``: one of our addresses, with its place holders, or ``other``."""
    span.update_name(route)
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def queried(found: Answer | Refused) -> None:
    """Say of the request's span how its query ended."""
    span = trace.get_current_span()
    if isinstance(found, Refused):
        span.set_attribute("sandbox.code", found.reasons[0].code.id)
        return
    span.set_attribute("sandbox.mode", str(found.mode))
    span.set_attribute("sandbox.free", found.price is not None and found.price.free)
    for stage, seconds in found.timings:
        if stage in TIMED:
            span.set_attribute(f"sandbox.stage.{stage}_ms", round(1000 * seconds, 1))


def missing() -> bool:
    """Whether the libraries that send traces are not installed."""
    try:
        _libraries()
    except ImportError:
        return True
    return False


def _libraries() -> tuple[Any, ...]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return OTLPSpanExporter, Resource, TracerProvider, BatchSpanProcessor


def _provider(place: str) -> Any:
    try:
        exporter, resource, provider, batches = _libraries()
    except ImportError:
        hint = "install data-sandbox[telemetry], or leave observe.traces empty"
        zh = "请安装 data-sandbox[telemetry]，或将 observe.traces 留空"
        raise refuse(Code.DOCUMENT, "observe.traces", hint, zh) from None
    who = resource.create({"service.name": SERVICE, "service.version": sandbox.__version__})
    made = provider(resource=who, shutdown_on_exit=False)
    made.add_span_processor(batches(exporter(place, timeout=TIMEOUT_S)))
    return made
