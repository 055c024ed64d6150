"""Whether what is installed is of the versions that this Reviewmill is made for; told from packages' own records."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient

NAME = "versions"
#: Those that decide what is computed, which people ask for first.
_TOLD = ("tensorflow", "keras", "keras-hub", "openvino", "onnxruntime", "transformers", "celery", "sqlalchemy")
#: Those that bring a user something: what the developers' tools are of is no matter of a user's.
EXTRAS = ("gpu", "http", "s3", "gcs", "otel")
#: As in pyproject.toml.
PYTHONS = SpecifierSet(">=3.11,<3.13")


def check(_patient: Patient) -> Iterator[Finding]:
    """Look at Python, at every package that Reviewmill needs, and at those of its extras that are there."""
    python = platform.python_version()
    if not PYTHONS.contains(python, prereleases=True):
        yield wrong(NAME, f"Python is {python}, and must be {PYTHONS}", "install Reviewmill with such a Python")
    needed = [Requirement(line) for line in requires("reviewmill") or []]
    found = [finding for one in needed if (finding := _look(one)) is not None]
    yield from found
    if not found:
        told = ", ".join(f"{name} {version(name)}" for name in _TOLD)
        yield ok(NAME, f"Reviewmill {version('reviewmill')} on Python {python}; {told}; all others as needed")


def _look(needed: Requirement) -> Finding | None:
    is_extra = not _is_needed(needed, "")
    if is_extra and not any(_is_needed(needed, extra) for extra in EXTRAS):
        return None
    mend = f"pip install '{needed.name}{needed.specifier}'"
    try:
        installed = version(needed.name)
    except PackageNotFoundError:
        return None if is_extra else wrong(NAME, f"{needed.name} is not installed", mend)
    if needed.specifier.contains(installed, prereleases=True):
        return None
    what = f"{needed.name} is {installed}, and must be {needed.specifier}"
    # It may be there for something else.
    return warning(NAME, f"{what} to be of use", mend) if is_extra else wrong(NAME, what, mend)


def _is_needed(needed: Requirement, extra: str) -> bool:
    return needed.marker is None or needed.marker.evaluate({"extra": extra})
