"""Traces by OpenTelemetry, from whoever enqueues a job to the workers that do it.

They are made where the extra `otel` is installed and OpenTelemetry's own environment variables say where traces go.
Anywhere else nothing is imported, and a span costs nothing. SQL carries a trace, not the message: a chunk that is rung
for again has another message, and belongs to the same job.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

#: Where a job's params hold the trace that it belongs to, in the form of the W3C's header of that name.
TRACEPARENT = "traceparent"

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
#: A command does not end before its spans are sent, or given up; OpenTelemetry's own ten seconds are long for a person.
_PATIENCE_S = 3.0
_SERVICE = "reviewmill"

log = structlog.get_logger()


@contextmanager
def enqueuing(**facts: Any) -> Iterator[None]:
    """A span in which a job is handed over to workers, within whatever span the caller is in."""
    with _span("enqueue", "PRODUCER", facts):
        yield


@contextmanager
def working(traceparents: Sequence[str | None], **facts: Any) -> Iterator[None]:
    """A span of work on chunks of jobs that carry those traces.

    It belongs to the first trace, and is linked to the others. An error that ends it is recorded.
    """
    if _tracer() is None:
        yield
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried = [
        TraceContextTextMapPropagator().extract({TRACEPARENT: one}, context=Context())
        for one in dict.fromkeys(traceparents)
        if one is not None
    ]
    links = [Link(get_current_span(one).get_span_context()) for one in carried[1:]]
    # Small chunks are worked on in the middle of a large one, whose span is no parent of theirs.
    with _span("chunk", "CONSUMER", facts, context=carried[0] if carried else Context(), links=links):
        yield


@contextmanager
def step(name: str, **facts: Any) -> Iterator[None]:
    """A span of a part of the work."""
    with _span(name, "INTERNAL", facts):
        yield


def note(**facts: Any) -> None:
    """Add facts to the span that the caller is in."""
    if _tracer() is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(_attributes(facts))


def carried() -> dict[str, str]:
    """What a job's params hold of the span that the caller is in; nothing where no trace is made."""
    if _tracer() is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name: value for name, value in carrier.items() if name == TRACEPARENT}


def ids() -> dict[str, str]:
    """The trace and the span that the caller is in, in hexadecimal digits; nothing where no trace is made."""
    if _tracer() is None:
        return {}
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    here = get_current_span().get_span_context()
    return (
        {"trace_id": format_trace_id(here.trace_id), "span_id": format_span_id(here.span_id)} if here.is_valid else {}
    )


@contextmanager
def _span(name: str, kind: str, facts: dict[str, Any], **options: Any) -> Iterator[None]:
    tracer = _tracer()
    if tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(name, kind=SpanKind[kind], attributes=_attributes(facts), **options):
        yield


def _attributes(facts: dict[str, Any]) -> dict[str, Any]:
    return {f"{_SERVICE}.{name}": value for name, value in facts.items() if value is not None}


@cache
def _tracer() -> "Tracer | None":
    """Made once a process; None where no traces are wanted, or can be made."""
    if not _is_wanted():
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError:
        log.warning("no traces are made: the extra reviewmill[otel] is missing", action="tracing_not_installed")
        return None
    # A program that traces already has us take part; else what we make is our own, and nobody else's business.
    found = trace.get_tracer_provider()
    provider = found if isinstance(found, TracerProvider) else _provider()
    return provider.get_tracer(_SERVICE)


def _is_wanted() -> bool:
    is_off = (
        os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not is_off and any(os.environ.get(name) for name in _ENDPOINTS)


def _provider() -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource({"process.pid": os.getpid(), "host.name": socket.gethostname()}).merge(Resource.create())
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: _SERVICE}))
    provider = TracerProvider(resource=resource)
    timeout_s = None if any(os.environ.get(name) for name in _TIMEOUTS) else _PATIENCE_S
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout_s)))
    return provider
