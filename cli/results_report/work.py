"""How the work went: what failed, and how fast it was."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from cli.output import counted, local_time, share
from cli.results_report.sections import Section, Table
from db.jobs import JobStatus
from db.measures import measure_job
from db.outcome import job_outcome
from db.report import readings
from db.report_scope import ReportScope
from db.report_work import Reason, Work, device_work, newest_jobs, reasons

_REASONS, _JOBS, _DEVICES = 20, 10, 20
_STAGES = {"read": "reading", "score": "scoring"}


def failures_section(connection: Connection, scope: ReportScope, work: Work) -> Section:
    """Why rows have no answer, the most frequent reasons first."""
    if not work.failed:
        return Section("Failures", "None." if work.total else "Nothing was read yet.")
    found = reasons(connection, scope, _REASONS)
    rows = [(one.reason, _STAGES.get(one.stage, one.stage), f"{one.rows:,}", _first(one)) for one in found]
    more = f" The {_REASONS} most frequent reasons are shown." if len(found) == _REASONS else ""
    note = f"{counted(work.failed, 'row')} of {work.total:,} ({share(work.failed / work.total)}) have no answer.{more}"
    return Section(
        "Failures", note, tables=[Table("Reasons", ("Reason", "While", "Rows", "The first"), rows, is_wide=True)]
    )


def speed_section(connection: Connection, scope: ReportScope) -> Section:
    """How long it took, and which device did what."""
    jobs = newest_jobs(connection, scope, _JOBS)
    facts = _facts_of_job(connection, jobs[0]) if scope.job_id is not None else {}
    tables = (
        [_devices(connection, scope)]
        if scope.job_id is not None
        else [_jobs(connection, jobs), _devices(connection, scope)]
    )
    return Section(
        "Speed", facts=facts | _readings(connection, scope), tables=[table for table in tables if table.rows]
    )


def _first(reason: Reason) -> str:
    return f"line {reason.first_row:,}" if reason.first_row is not None else reason.first_id or ""


def _facts_of_job(connection: Connection, job: JobStatus) -> dict[str, str]:
    outcome, measures = job_outcome(connection, job), measure_job(connection, job.id)
    speed = outcome["reviews_per_second"]
    facts = {
        "Started": local_time(job.started_at),
        "Ended": local_time(job.finished_at),
        "Took": "" if outcome["seconds"] is None else took(outcome["seconds"]),
        "Reviews per second": f"{speed:,.1f}" if speed else "",
        "Devices busy": share(measures.device_busy),
        "Padding": share(measures.padding),
    }
    return {name: value for name, value in facts.items() if value}


def took(seconds: float) -> str:
    """As in `7.5 s`, `12 min 5 s` and `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def _readings(connection: Connection, scope: ReportScope) -> dict[str, str]:
    by_precision: Counter[str] = Counter()
    by_reading: Counter[str] = Counter()
    for precision, reading, reviews in readings(connection, scope):
        by_precision[precision] += reviews
        by_reading[reading] += reviews
    named = {"Computed in": by_precision, "Texts read": by_reading}
    return {name: ", ".join(f"{what} ({count:,})" for what, count in one.items()) for name, one in named.items() if one}


def _jobs(connection: Connection, jobs: Sequence[JobStatus]) -> Table:
    rows = []
    for job in jobs:
        outcome = job_outcome(connection, job)
        speed = outcome["reviews_per_second"]
        counts = [f"{count:,}" for count in (job.total, job.scored, job.reused, job.failed)]
        rows.append((job.id, str(job.params.get("source", "")), job.state, *counts, f"{speed:,.1f}" if speed else ""))
    columns = ("Job", "Source", "State", "Rows", "Scored", "Reused", "Failed", "Reviews/s")
    return Table("Its newest jobs", columns, rows)


def _devices(connection: Connection, scope: ReportScope) -> Table:
    rows = [
        (
            one.device,
            f"{one.reviews:,}",
            took(one.device_s),
            f"{one.tokens / one.device_s:,.0f}",
            share(1 - one.tokens / one.batch_tokens) if one.batch_tokens else "",
        )
        for one in device_work(connection, scope, _DEVICES)
    ]
    return Table("Devices", ("Device", "Reviews", "Computed for", "Tokens/s", "Padding"), rows)
