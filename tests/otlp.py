"""A real receiver of traces, by OTLP over HTTP, as a collector is one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """One span, with the process that made it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    linked: set[str]
    facts: dict[str, Any]
    process: int
    service: str
    error: str | None


@dataclass
class Collector:
    """Keeps every span that it was sent."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _facts(each.resource.attributes)
            for scope in each.scope_spans:
                self.spans += [_span(span, about) for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        """The spans of that name, in the order of their end."""
        return [span for span in self.spans if span.name == name]


def _span(span: Any, about: dict[str, Any]) -> Span:
    is_error = span.status.code == span.status.STATUS_CODE_ERROR
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        linked={link.trace_id.hex() for link in span.links},
        facts=_facts(span.attributes),
        process=about["process.pid"],
        service=about["service.name"],
        error=span.status.message if is_error else None,
    )


def _facts(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A receiver on the loopback interface, to which every command of the test sends its spans."""
    known = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            known.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", known.endpoint)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    # On a busy machine the answer may take longer than a person is kept waiting for.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "120")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join(10)
