"""Text in a place: told early from what is none, and read as UTF-8 whatever it is encoded in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from producer.errors import SourceError
from producer.sources.content import Content
from producer.sources.encoding import (
    UTF_8,
    as_utf_8,
    guessed_encoding,
    is_foreign,
    marked_encoding,
    recoded,
    told_encoding,
)

#: Bytes looked at to find the encoding: accents may be far apart.
SAMPLE_BYTES = 2**20
#: Bytes looked at to tell text from binary: every known signature is far shorter.
SNIFF_BYTES = 8192
#: A file with NUL bytes is binary below this share of text. One stray NUL in a real review file leaves
#: the share near 1; machine code, images and databases measure under 0.6.
MIN_TEXT_SHARE = 0.7

#: Signatures of files that people pass by mistake. PAR1 alone could start an honest header, so it counts
#: only before a byte that no text has there.
_SIGNATURES: list[tuple[re.Pattern[bytes], str]] = [
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "a zip or Excel"),
    (re.compile(rb"PAR[1E][^\t\n\r\x20-\x7e]"), "a Parquet"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "a PNG"),
    (re.compile(rb"SQLite format 3\x00"), "a SQLite"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"\xff\xd8\xff"), "a JPEG"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an old Excel or Office"),
    (re.compile(rb"ARROW1\x00\x00"), "an Arrow"),
    (re.compile(rb"\x7fELF"), "a program"),
]
#: Control characters that text does not hold; tab, newline, form feed and carriage return it does.
_CONTROLS = dict.fromkeys([*range(9), 11, *range(14, 32), 127])


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text is to be read; what is None is found out."""

    encoding: str | None = None
    delimiter: str | None = None


class TextFile:
    """A text, not empty, in the encoding that is told or found; `notices` say so where it is not UTF-8.

    Raises SourceError for what is no text.
    """

    def __init__(self, content: Content, encoding: str | None = None) -> None:
        self.content = content
        self.notices: list[str] = []
        sample = content.head(SAMPLE_BYTES)
        if not sample:
            raise SourceError(f"{content.shown} is empty; a source holds at least one review")
        self.encoding = self._find_encoding(sample, encoding)
        with self._told_plainly():
            start = sample[:SNIFF_BYTES] if self.encoding == UTF_8 else recoded(sample[:SNIFF_BYTES], self.encoding)
        if kind := _binary_kind(start):
            raise SourceError(_not_text(content, kind))

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The text in UTF-8 from the beginning, for as long as the block lasts.

        A byte order mark may stand before it. A byte 0xff stands for what could not be decoded from elsewhere.
        """
        with self.content.opened() as file, self._told_plainly():
            yield file if self.encoding == UTF_8 else as_utf_8(file, self.encoding)

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        # Wrong bytes are marked; what is raised all the same says that none of it can be decoded.
        try:
            yield
        except UnicodeError as error:
            raise SourceError(f"{self.content.shown} can not be read as {self.encoding}: {error}") from error

    def _find_encoding(self, sample: bytes, told: str | None) -> str:
        if told is not None:
            return told_encoding(told)
        if marked := marked_encoding(sample):
            if marked != UTF_8:
                self.notices.append(f"{self.content.shown} is read as {marked}, as its first bytes say")
            return marked
        if not is_foreign(sample) or _binary_kind(sample[:SNIFF_BYTES]):
            return UTF_8
        guess = guessed_encoding(sample)
        read_as = f"read as {guess}, a guess" if guess else "what else, can not be guessed"
        self.notices.append(f"{self.content.shown} is not in UTF-8: {read_as}; --encoding overrules it")
        return guess or UTF_8


def _binary_kind(sample: bytes) -> str | None:
    for signature, kind in _SIGNATURES:
        if signature.match(sample):
            return kind
    if b"\0" in sample and _text_share(sample) < MIN_TEXT_SHARE:
        return "a binary"
    return None


def _text_share(sample: bytes) -> float:
    text = sample.decode(UTF_8, "ignore").translate(_CONTROLS)
    return len(text.encode()) / len(sample)


def _not_text(content: Content, kind: str) -> str:
    ways_out = {
        "a Parquet": "name it .parquet",
        "a SQLite": "name its table: sql:sqlite:///FILE?table=TABLE",
        "a binary": "where it is UTF-16, say --encoding utf-16-le or utf-16-be",
    }
    way_out = ways_out.get(kind, "csv, tsv and jsonl are read")
    return f"{content.shown} looks like {kind} file, not text; {way_out}"
