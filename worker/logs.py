"""Structured logs of a process: one event a line, each with its `action` and the ids of the chunks that it is about."""

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from broker import tracing
from db.claims import Claim
from worker.settings import LogSettings

_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default=MappingProxyType({}))

log = structlog.get_logger()


def log_to_stderr(level: str | None = None) -> None:
    """Write our events to standard error in the form of the settings, and of libraries what is a warning or worse.

    `level` goes before that of the settings. An error that nobody catches is an event too.
    """
    settings = LogSettings()
    stream = _standard_error()
    rendering = _as_json() if settings.log_format == "json" else _for_people()
    stamped: list[Processor] = [_add_ids, structlog.processors.add_log_level, _stamp]
    structlog.configure(
        processors=[*stamped, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level or settings.log_level),
        # In one piece with its end: other loggers write to the same stream.
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    handler = logging.StreamHandler(stream)
    only_event = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_library, *stamped], processors=[only_event, *rendering]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(*ended[:3])


@contextmanager
def about(claims: Sequence[Claim]) -> Iterator[None]:
    """Let every line that is logged in the block, in this context, tell of these chunks and of no others."""
    before = _about.set(ids_of(claims))
    try:
        yield
    finally:
        _about.reset(before)


def ids_of(claims: Sequence[Claim]) -> dict[str, Any]:
    """What tells of a chunk, or of several that are worked on as one."""
    if len(claims) == 1:
        return {"job": claims[0].job_id, "chunk": claims[0].chunk_id, "attempt": claims[0].attempt}
    return {"jobs": sorted({claim.job_id for claim in claims}), "chunks": [claim.chunk_id for claim in claims]}


def _standard_error() -> TextIO:
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, io.UnsupportedOperation):
        # A program that called us has put something else in its place.
        return sys.stderr
    # A descriptor of its own: the one of standard error is turned away while TensorFlow is loaded, for seconds
    # in which other threads claim chunks and renew leases. Without a buffer a line is one write, however long it is:
    # a supervisor and its processes share a file.
    raw = os.fdopen(os.dup(descriptor), "wb", buffering=0)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def _for_people() -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _as_json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]


def _json(event: EventDict, **options: Any) -> str:
    try:
        return json.dumps(event, ensure_ascii=False, allow_nan=False, **options)
    except ValueError:
        # Numbers that JSON does not know, as strings.
        return json.dumps(json.loads(json.dumps(event, **options), parse_constant=str), ensure_ascii=False)


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)


def _add_ids(_logger: object, _method: str, event: EventDict) -> EventDict:
    # A line about one chunk of several says which.
    known = {} if "chunk" in event else _about.get()
    return {**known, **tracing.ids(), **event}


def _add_library(_logger: object, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    return {**event, "action": "library", "logger": record.name}


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
    else:
        log.critical("error that nobody caught", action="uncaught_error", exc_info=(kind, error, trace))
