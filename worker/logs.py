"""Structured logs of a worker process: one event a line, each with its `action`."""

import logging
import os
import sys

import structlog


def log_to_stderr() -> None:
    """Write our events to standard error, and of other libraries only what is a warning or worse."""
    # A descriptor of its own: the one of standard error is turned away while TensorFlow is loaded, for seconds
    # in which other threads claim chunks and renew leases.
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
