"""Settings that are not allowed, that there are not, or that contradict each other."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import urlsplit

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.masking import masked_value
from cli.checks.patient import Patient, in_environment, twofold_settings, wrong_settings
from cli.checks.setting_rows import known_variables

NAME = "settings"
_PAGE = "docs/settings.md tells what is allowed"
#: Told to commands of `--on-done`, and in the environment of what they start.
_TOLD = "REVIEWMILL_JOB_"
_THIS_MACHINE = ("", "localhost", "127.0.0.1", "::1")


def check_allowed() -> Iterator[Finding]:
    """Values that no command would take."""
    for name, error in wrong_settings():
        value = masked_value(name, in_environment(name) or "")
        yield wrong(NAME, f"{name} is {value!r}: {error['msg'].lower()}", f"set it to what is allowed; {_PAGE}")
    if not wrong_settings():
        yield from (wrong(NAME, reason, f"set one of the two; {_PAGE}") for reason in twofold_settings())


def check_known(_patient: Patient) -> Iterator[Finding]:
    """Variables that look like settings and are none: a slip of the pen, or a setting of another version."""
    known = set(known_variables())
    for name in sorted(os.environ):
        if name.upper().startswith("REVIEWMILL_") and not name.startswith(_TOLD) and name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            yield warning(NAME, f"{name} is no setting, and nothing reads it", f"{meant}Unset it; {_PAGE}")


def check_together(patient: Patient) -> Iterator[Finding]:
    """Settings that are allowed each, and do not go together."""
    found = [*_places(patient), *_times(patient), *_guard(patient), *_engine(patient)]
    yield from found or [ok(NAME, "all are allowed, and none contradicts another")]


def _places(patient: Patient) -> Iterator[Finding]:
    is_file = patient.database_settings.url.startswith("sqlite")
    if patient.broker.is_embedded and not is_file:
        yield warning(
            NAME,
            "the database is a server, but the Redis is this machine's own: workers elsewhere hear of no job",
            "set REVIEWMILL_REDIS_URL to the team's Redis, unless this machine works alone",
        )
    if not patient.broker.is_embedded and is_file and not _is_here(patient.broker.redis_url):
        yield warning(
            NAME,
            "the Redis is elsewhere, but the database is a file of this machine: workers elsewhere cannot open it",
            "set REVIEWMILL_DATABASE_URL to a PostgreSQL server, unless this machine works alone",
        )


def _is_here(redis_url: str) -> bool:
    parts = urlsplit(redis_url)
    return "socket" in parts.scheme or (parts.hostname or "") in _THIS_MACHINE


def _times(patient: Patient) -> Iterator[Finding]:
    lease_s, sweep_s = patient.worker.lease_s, patient.worker.sweep_s
    if sweep_s > lease_s:
        yield warning(
            NAME,
            f"lost messages are looked for every {sweep_s:g} s, more rarely than a lease of {lease_s:g} s runs out: "
            "a dead worker's chunk waits for the look",
            "set REVIEWMILL_SWEEP_S to less than REVIEWMILL_LEASE_S",
        )


def _guard(patient: Patient) -> Iterator[Finding]:
    worker = patient.worker
    if worker.precision == "auto" and worker.search_from < worker.guard_texts:
        yield warning(
            NAME,
            f"a precision is looked for from {worker.search_from} rows on, but on {worker.guard_texts} texts: "
            "jobs with fewer texts are searched in vain",
            "set REVIEWMILL_SEARCH_FROM to at least REVIEWMILL_GUARD_TEXTS",
        )


def _engine(patient: Patient) -> Iterator[Finding]:
    engine, precision = patient.worker.engine, patient.worker.precision
    if engine == "null":
        yield warning(
            NAME,
            "REVIEWMILL_ENGINE is null: answers are made up, to measure what is around an engine",
            "unset REVIEWMILL_ENGINE before anybody believes an answer",
        )
    if (engine, precision) in (("tensorflow", "int8"), ("onnx", "bfloat16")):
        yield wrong(
            NAME,
            f"the engine {engine} does not compute in {precision}, so that every job fails",
            "set REVIEWMILL_PRECISION to auto, or unset REVIEWMILL_ENGINE",
        )
