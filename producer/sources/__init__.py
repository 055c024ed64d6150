"""Where reviews come from. A new kind of source is one file here and one line in a table."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from producer.environment import filled_in
from producer.errors import SourceError
from producer.sources.base import Record, Source, Unreadable
from producer.sources.demo import DemoSource
from producer.sources.finding import find_files, name_of_directory
from producer.sources.formats import FORMS, open_file
from producer.sources.parts import Part, PartsSource, joined_name
from producer.sources.places import STANDARD_INPUT, LocalFile, Place, printable, standard_input
from producer.sources.text_file import TextForm

if TYPE_CHECKING:
    # Reading a file loads no database.
    from db.database import Database

__all__ = ["Part", "PartsSource", "Record", "Source", "Unreadable", "open_source"]


def open_source(
    *specs: str, encoding: str | None = None, delimiter: str | None = None, database: "Database | None" = None
) -> Source:
    """Return the source that `specs` name: files, directories, globs, URLs, standard input, datasets and tables.

    What a file is tells its extension, in any case; FORMS lists all there is. Several are read one after the other as
    one source. Its default name is that of the file, `incoming/` of a directory, a glob as it was typed, a URL without
    what may be secret, and of several all of these.

    `encoding` and `delimiter` say how texts are read, instead of finding out; what was found out is in the source's
    `notices`. Cheap faults show here rather than in the middle of a job: this looks at the first bytes of every file
    and at the headers. What people have labelled is read from the `database`, without one from that of the settings.
    Raises SourceError when the source can not be read, saying what is allowed.

    In what stands behind `sql:`, and in URLs, `${NAME}` is that variable of the environment: a password need not be
    written. Raises VariableMissing.

    A file whose name looks like a scheme is reached as `./demo:reviews.csv`.
    """
    form = TextForm(encoding, delimiter)
    if not specs:
        raise SourceError(f"no source is named; {FORMS}")
    sources = [_open(spec, form, database) for spec in specs]
    if len(sources) == 1:
        return sources[0]
    name = joined_name([source.name for source in sources])
    return PartsSource(name, [part for source in sources for part in _parts_of(source)])


def _open(spec: str, form: TextForm, database: "Database | None") -> Source:
    if spec == STANDARD_INPUT:
        return open_file(standard_input(), form)
    scheme, colon, rest = spec.partition(":")
    if scheme == LABELS and colon and not rest.startswith("//"):
        return _open_labels(rest, database)
    if colon and scheme in SCHEMES and not rest.startswith("//"):
        return SCHEMES[scheme](rest)
    if "://" in spec:
        return _open_url(filled_in(spec), form)
    files = find_files(spec)
    if files is None:
        return open_file(LocalFile(Path(spec)), form)
    name = name_of_directory(spec) if Path(spec).is_dir() else printable(spec)
    return _several(name, [LocalFile(Path(file)) for file in files], form)


def _open_url(url: str, form: TextForm) -> Source:
    from producer.sources import remote  # fsspec takes a while to load

    files = remote.find_files(url)
    if files is None:
        return open_file(remote.RemoteFile(url), form)
    return _several(remote.public(url), [remote.RemoteFile(file) for file in files], form)


def _several(name: str, places: Iterable[Place], form: TextForm) -> Source:
    return PartsSource(name, [Part.of(open_file(place, form)) for place in places])


def _parts_of(source: Source) -> Sequence[Part]:
    return source.parts if isinstance(source, PartsSource) else [Part.of(source)]


def _open_dataset(rest: str) -> Source:
    from producer.sources.hugging_face import HuggingFaceSource  # datasets takes seconds to load

    return HuggingFaceSource(rest)


def _open_sql(rest: str) -> Source:
    from producer.sources.sql import SqlSource  # SQLAlchemy takes a while to load

    return SqlSource(filled_in(rest))


def _open_labels(rest: str, database: "Database | None") -> Source:
    from db.schema import open_database
    from producer.sources.labels import LabelsSource

    return LabelsSource(rest, database or open_database())


#: Before the colon of the one source that is in our own database.
LABELS = "labels"
#: Other sources that are not files, by what stands before the first colon; each gets what stands after it.
SCHEMES: dict[str, Callable[[str], Source]] = {
    "demo": DemoSource,
    "hf": _open_dataset,
    "sql": _open_sql,
}
