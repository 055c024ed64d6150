"""Comma-separated files, and those with other delimiters, read record by record."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import IO, TextIO

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable
from producer.sources.bounds import MAX_COLUMNS
from producer.sources.content import Content
from producer.sources.dialect import COMMA, Dialect, sniff_dialect, told_delimiter
from producer.sources.encoding import UTF_8
from producer.sources.file_source import FileSource
from producer.sources.text_file import TextFile, TextForm

#: The longest record, in characters, that is held in memory. Far above any review; it bounds what one
#: unclosed quote can swallow.
MAX_RECORD_CHARS = 16 * 2**20
#: The piece in which the rest of a longer line is passed over.
SKIP_CHARS = 64 * 2**10
#: Characters from which the delimiter and the quotes are told: some dozens of reviews.
SNIFF_CHARS = 64 * 2**10
_AS_FOUND = TextForm()
#: What undecodable bytes become under "surrogateescape"; valid UTF-8 never decodes to these.
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class CsvSource(FileSource):
    """A csv file with a header line, in the encoding, with the delimiter and the quotes that are told or found.

    Without anything told, the `usual` delimiter and double quotes are preferred (see dialect). Lines may end in LF,
    CRLF or CR. Blank lines are skipped and are no records, though they count as lines. A record with other than the
    header's number of fields, with bytes that are not of the encoding, longer than MAX_RECORD_CHARS or with a quote
    still open at the end of the file comes out as Unreadable. A quote in the middle of a field is taken as it comes,
    as spreadsheets do. Memory stays flat.

    Raises SourceError for a file that is no text or whose header is missing, unreadable, or has empty or
    repeated names, since no value could then be told from another.
    """

    def __init__(self, content: Content, form: TextForm = _AS_FOUND, usual: str = COMMA) -> None:
        super().__init__(content)
        self._file = TextFile(content, form.encoding)
        self.notices += self._file.notices
        self._dialect = self._find_dialect(form.delimiter, usual)
        with self._file.opened() as file, _decoded(file) as text:
            self._header = self._read_header(_parse(_Lines(text), self._dialect))

    def columns(self) -> list[str] | None:
        """Return the header's names in order."""
        return list(self._header)

    def _records(self) -> Iterator[Record | Unreadable]:
        undecodable = _Undecodable(self._file.encoding)
        with self._file.opened() as file, _decoded(file) as text:
            rows = _parse(_Lines(text), self._dialect)
            header = self._read_header(rows)
            for row, fields in rows:
                yield _record(row, fields, header, undecodable)

    def _find_dialect(self, told: str | None, usual: str) -> Dialect:
        with self._file.opened() as file, _decoded(file) as text:
            sample, is_whole = text.read(SNIFF_CHARS), not text.read(1)
        if told is not None:
            usual = told_delimiter(told)
        dialect = sniff_dialect(sample, is_whole, usual, sure=told is not None)
        if dialect != Dialect(usual):
            overrule = "" if dialect.delimiter == usual else "; --delimiter overrules it"
            self.notices.append(f"{self.content.shown} is read with {dialect.shown}{overrule}")
        return dialect

    def _read_header(self, rows: Iterator[tuple[int, list[str] | str]]) -> list[str]:
        return _header(rows, self.content.shown, _Undecodable(self._file.encoding))


class _RecordTooLongError(Exception):
    """A record passed MAX_RECORD_CHARS."""


class _Lines:
    """The lines of a file for csv.reader to pull, counted, because one record may span many of them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._number = 0
        self._taken_chars = 0
        self.ended = False

    def begin_record(self) -> int:
        """Return the number of the line that the next record starts on."""
        self._taken_chars = 0
        return self._number + 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_RECORD_CHARS + 1)
        if not line:
            self.ended = True
            raise StopIteration
        self._number += 1
        self._taken_chars += len(line)
        if self._taken_chars > MAX_RECORD_CHARS:
            self._finish(line)
            raise _RecordTooLongError
        return line

    def _finish(self, line: str) -> None:
        while line and line[-1] not in "\r\n":
            line = self._file.readline(SKIP_CHARS)


@contextmanager
def _decoded(file: IO[bytes]) -> Iterator[TextIO]:
    # Escaping keeps a bad byte inside its own record; strict decoding would end the whole stream.
    text = TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()  # or it would close the file, which is not its own


def _parse(lines: _Lines, dialect: Dialect) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the line number with the fields, or with the reason that there are none."""
    # The limit is the process's own; _Lines already bounds a record, so it only has to stay out of the way.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_CHARS))
    reader = dialect.reader(lines)
    while True:
        row = lines.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except _RecordTooLongError:
            yield row, f"longer than {MAX_RECORD_CHARS:,} characters; is a quote not closed?"
            continue
        except csv.Error as error:
            yield row, f"not csv: {error}"
            continue
        # The reader asks for lines past the end only when a quote is still open.
        if lines.ended:
            yield row, "a quote opened in this record is never closed; everything after it was swallowed"
        elif fields:
            yield row, fields


class _Undecodable:
    """Finds the fields with bytes that are not of the file's encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def reason(self, fields: list[str], header: list[str]) -> str | None:
        """What is wrong with the first of them, which the header names; None where all could be decoded."""
        for index, field in enumerate(fields):
            if field.isascii():
                continue
            if found := _ESCAPED_BYTE.search(field):
                column = repr(header[index]) if index < len(header) else str(index + 1)
                return f"{self._what(found[0])} in column {column}, character {found.start() + 1}, is not {self._name}"
        return None

    @property
    def _name(self) -> str:
        return "UTF-8" if self._encoding == UTF_8 else self._encoding

    def _what(self, escaped: str) -> str:
        # Of another encoding it is not known any more which bytes they were.
        return f"byte 0x{ord(escaped) - 0xDC00:02x}" if self._encoding == UTF_8 else "a byte"


def _header(rows: Iterator[tuple[int, list[str] | str]], shown: str, undecodable: _Undecodable) -> list[str]:
    where = f"the header of {shown}"
    _, header = next(rows, (0, ""))
    if not header:
        raise SourceError(f"{shown} has only blank lines; a csv file starts with a header")
    if isinstance(header, str):
        raise SourceError(f"{where} can not be read: {header}")
    if reason := undecodable.reason(header, []):
        raise SourceError(f"{where} can not be read: {reason}")
    if len(header) > MAX_COLUMNS:
        raise SourceError(f"{where} names {len(header):,} columns; at most {MAX_COLUMNS:,} are read")
    for position, name in enumerate(header, start=1):
        if not name.strip():
            hint = "pandas writes such a one for its index: save with index=False"
            raise SourceError(f"{where} has no name for column {position} ({hint})")
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise SourceError(f"{where} names {repeated[0]!r} more than once; every column needs its own name")
    return header


def _record(row: int, fields: list[str] | str, header: list[str], undecodable: _Undecodable) -> Record | Unreadable:
    if isinstance(fields, str):
        return Unreadable(row, fields)
    # Nearly every record passes this, at a fraction of the cost.
    if not all(map(str.isascii, fields)) and (reason := undecodable.reason(fields, header)):
        return Unreadable(row, reason)
    if len(fields) != len(header):
        noun = "field" if len(fields) == 1 else "fields"
        return Unreadable(row, f"{len(fields)} {noun} where the header has {len(header)}")
    return Record(row, dict(zip(header, fields, strict=True)))
