"""`reviewmill doctor`: looks at everything that the work needs, and says how to mend what is wrong."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import click

from cli.checks.examine import examine
from cli.checks.finding import Finding, Status
from cli.checks.patient import Scope, admit
from cli.checks.setting_rows import SettingRow, setting_rows
from cli.checks.settings import check_allowed
from cli.output import answers, counted, json_option, notes, print_json, say

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.WRONG: "red"}
_FAILED = 1


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Read no whole files: neither the models' nor the database's.")
@click.option("--deep", is_flag=True, help="Load the model libraries too, each in a process of its own.")
@click.option(
    "--models", "models", metavar="M", multiple=True, help="Look at the files of this model only. May be repeated."
)
@json_option
def command(quick: bool, deep: bool, models: tuple[str, ...], as_json: bool) -> int:
    """Check settings, versions, Redis, database, clocks, disk, devices, models and workers.

    Says how to mend what is wrong. Starts and changes nothing. Exits with 1 where something is wrong.
    """
    settings = setting_rows()
    if not as_json:
        _show_settings(settings)
    found = []
    with notes.status("") as status:
        for finding in _findings(Scope(quick, deep, models), status.update):
            found.append(finding)
            if not as_json:
                # Both outputs may be the same terminal.
                status.stop()
                _show(finding)
                status.start()
    counts = Counter(one.status for one in found)
    if as_json:
        document = {"ok": not counts[Status.WRONG], "settings": [asdict(one) for one in settings]}
        print_json({**document, "checks": [asdict(one) for one in found]})
    else:
        _sum_up(counts)
    return _FAILED if counts[Status.WRONG] else 0


def _findings(scope: Scope, say_what: Callable[[str], None]) -> Iterator[Finding]:
    if refused := list(check_allowed()):
        yield from refused
        yield Finding("settings", Status.WARNING, "nothing else was looked at", "mend the settings, and ask again")
        return
    patient = admit(scope, say_what)
    try:
        yield from examine(patient)
    finally:
        if patient.database is not None:
            patient.database.close()


def _show_settings(rows: Sequence[SettingRow]) -> None:
    say("Settings")
    for row in rows:
        value = "not set" if row.value is None else row.value
        say(f"  {row.name} = {value} ({row.source})")
        say(f"      {row.meaning}")
    say("\nChecks")


def _show(finding: Finding) -> None:
    answers.print(f"  [{_STYLES[finding.status]}]{finding.status.value:8}[/]", end="")
    say(f"{finding.check}: {finding.what}")
    if finding.mend:
        say(f"          To mend it: {finding.mend}")


def _sum_up(counts: Counter[Status]) -> None:
    wrong, warnings = counts[Status.WRONG], counts[Status.WARNING]
    if not wrong and not warnings:
        say("\nAll is well.")
        return
    told = [f"{wrong} wrong"] * bool(wrong) + [counted(warnings, "warning")] * bool(warnings)
    say(f"\n{' and '.join(told)}.")
