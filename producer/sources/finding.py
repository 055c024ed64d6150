"""Which files a glob or a directory stands for."""

import glob
from collections.abc import Iterable
from pathlib import Path

from producer.errors import SourceError
from producer.sources.formats import FORMATS, is_known
from producer.sources.places import printable


def find_files(spec: str) -> list[str] | None:
    """The files that a path with wildcards, or of a directory, stands for, in name order; None for any other path.

    Of a directory those of known formats count, and what starts with a dot or an underscore, as unfinished files do,
    is passed over. `**` stands for any folders. A file with just that name is itself. Raises SourceError where there
    is none.
    """
    path = Path(spec)
    try:
        if path.is_dir():
            return _in_directory(path)
        if not glob.has_magic(spec) or path.exists():
            return None
    except (OSError, ValueError):  # no possible name
        return None
    found = sorted(name for name in glob.glob(spec, recursive=True) if Path(name).is_file())
    if not found:
        raise SourceError(f"no file matches {spec!r}")
    return found


def name_of_directory(spec: str) -> str:
    """The default name of a source that is all of a directory: the directory's own, wherever it is."""
    return f"{printable(Path(spec).resolve().name)}/"


def _in_directory(path: Path) -> list[str]:
    found = readable_of(str(file) for file in path.iterdir() if file.is_file())
    if not found:
        raise SourceError(nothing_in(str(path)))
    return found


def readable_of(paths: Iterable[str]) -> list[str]:
    """The files of a directory that are read, in the order of their names."""
    finished = (path for path in paths if not path.rpartition("/")[2].startswith((".", "_")))
    return sorted(path for path in finished if is_known(path))


def nothing_in(directory: str) -> str:
    """What is wrong with a directory without such files."""
    return f"the directory {directory!r} has no {', '.join(FORMATS)} file, compressed or not"
