"""The formats that files have. A new one is a file here and a line in the table."""

import re
from collections.abc import Callable
from pathlib import PurePath

from producer.errors import SourceError
from producer.sources.base import Source
from producer.sources.compression import EXTENSIONS as COMPRESSIONS
from producer.sources.content import Content
from producer.sources.csv_file import CsvSource
from producer.sources.demo import DEMO_FORMS
from producer.sources.dialect import TAB
from producer.sources.jsonl_file import JsonlSource
from producer.sources.places import LocalFile, Place
from producer.sources.text_file import TextForm

_Reader = Callable[[Content, TextForm], Source]

_OBJECT = re.compile(rb"(\xef\xbb\xbf)?\s*\{")
_PARQUET = re.compile(rb"PAR1[^\t\n\r\x20-\x7e]")
#: Of a file whose name tells no format this much is looked at.
_SNIFF_BYTES = 8192


def _tsv(content: Content, form: TextForm) -> Source:
    return CsvSource(content, form, usual=TAB)


def _parquet(content: Content, _form: TextForm) -> Source:
    from producer.sources.parquet_file import ParquetSource  # pyarrow takes a while to load

    return ParquetSource(content)


#: File formats by extension, lower case.
FORMATS: dict[str, _Reader] = {
    ".csv": CsvSource,
    ".tsv": _tsv,
    ".jsonl": JsonlSource,
    ".ndjson": JsonlSource,
    ".parquet": _parquet,
}
#: What a source may be, for messages.
FORMS = (
    f"a source is a {', '.join(FORMATS)} file or URL, each also compressed ({', '.join(COMPRESSIONS)}), a directory or "
    f"glob of them, - for standard input, hf:NAME[:SPLIT], sql:URL?table=TABLE or ?query=QUERY, "
    f"labels:[MODEL] for what people labelled, or {DEMO_FORMS}"
)


def is_known(name: str) -> bool:
    """Whether a file of this name is of a known format, compressed or not."""
    return extension_of([suffix.lower() for suffix in PurePath(name).suffixes]) in FORMATS


def extension_of(suffixes: list[str]) -> str:
    """The extension that tells the format, as `.csv` of `.2026.csv.gz`; empty where there is none."""
    named = suffixes[:-1] if suffixes and suffixes[-1] in COMPRESSIONS else suffixes
    return named[-1] if named else ""


def open_file(place: Place, form: TextForm) -> Source:
    """The source in a place, by its extension. Raises SourceError.

    What comes from standard input or by a URL needs no extension, and is then told by what it starts with: an object
    is jsonl, a parquet file tells itself, and all else is csv.
    """
    extension = extension_of(place.extensions)
    is_sniffed = not extension and not isinstance(place, LocalFile)
    if not is_sniffed and extension not in FORMATS:
        raise SourceError(_unknown_format(place.shown, extension))
    content = Content(place)
    reader = _sniffed(content) if is_sniffed else FORMATS[extension]
    return reader(content, form)


def _unknown_format(shown: str, extension: str) -> str:
    ending = f"the extension {extension!r}" if extension else "no extension"
    return f"{shown} has {ending}, which names no known format; {FORMS}"


def _sniffed(content: Content) -> _Reader:
    start = content.head(_SNIFF_BYTES)
    if _PARQUET.match(start):
        return _parquet
    return JsonlSource if _OBJECT.match(start) else CsvSource
