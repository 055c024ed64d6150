"""Where reviews come from. A new format is one file here and one line in a table below."""

from collections.abc import Callable
from pathlib import Path

from producer.errors import SourceError
from producer.sources.base import Record, Source, Unreadable
from producer.sources.csv_file import CsvSource
from producer.sources.demo import DEMO_FORMS, DemoSource
from producer.sources.jsonl_file import JsonlSource

__all__ = ["Record", "Source", "Unreadable", "open_source"]

#: File formats by extension, lower case.
FORMATS: dict[str, Callable[[Path], Source]] = {
    ".csv": CsvSource,
    ".jsonl": JsonlSource,
    ".ndjson": JsonlSource,
}
#: Sources that are not files, by what stands before the first colon; each gets what stands after it.
SCHEMES: dict[str, Callable[[str], Source]] = {
    "demo": DemoSource,
}


def open_source(spec: str) -> Source:
    """Return the source that `spec` names: a path by its extension in any case, or `demo:NAME[:split]`.

    Cheap faults show here rather than in the middle of a job: this looks at the first bytes of a file and
    at a csv header. Raises SourceError when the source can not be read, saying what is allowed.
    A file whose name looks like a scheme is reached as `./demo:reviews.csv`.
    """
    scheme, colon, rest = spec.partition(":")
    if colon and scheme in SCHEMES:
        return SCHEMES[scheme](rest)
    path = Path(spec)
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise SourceError(_unknown(path, spec))
    return reader(path)


def _unknown(path: Path, spec: str) -> str:
    allowed = f"a source is a {', '.join(FORMATS)} file, or {DEMO_FORMS}"
    if _is_directory(path):
        return f"{spec!r} is a directory; {allowed}"
    ending = f"the extension {path.suffix!r}" if path.suffix else "no extension"
    return f"{spec!r} has {ending}, which names no known format; {allowed}"


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
