"""How a csv file is written: what stands between fields, and what around them."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice

from producer.errors import SourceError

COMMA = ","
TAB = "\t"
#: What may stand between fields where nothing is told, the likeliest first.
_DELIMITERS = (COMMA, ";", TAB, "|")
#: Records below the header that are looked at.
_SNIFFED_RECORDS = 200
#: With less of them as long as the header a delimiter is none.
_LEAST_FIT = 0.5
#: So much better than the comma another must fit to be preferred to it.
_CLEARLY_BETTER = 0.2
_NAMES = {TAB: "a tab", " ": "a space"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The delimiter, the quote, and the character that takes its meaning from a quote; None where that is doubled."""

    delimiter: str = COMMA
    quote: str = '"'
    escape: str | None = None

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The records of the lines. Raises csv.Error."""
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, escapechar=self.escape)

    @property
    def shown(self) -> str:
        """In words."""
        words = [f"{_NAMES.get(self.delimiter, repr(self.delimiter))} between fields"]
        words += [f"{self.quote} around them"] * (self.quote != '"')
        words += [f"quotes in them written as {self.escape}{self.quote}"] * (self.escape is not None)
        return " and ".join(words)


def told_delimiter(delimiter: str) -> str:
    """The delimiter that was told, as a character. Raises SourceError for what can be none."""
    character = {r"\t": TAB, "tab": TAB}.get(delimiter, delimiter)
    if len(character) != 1 or character in '"\r\n\0' or "\ud800" <= character <= "\udfff":
        raise SourceError(f"{delimiter!r} can be no delimiter; it is one character, such as , ; | or tab")
    return character


def sniff_dialect(sample: str, whole: bool, usual: str = COMMA, *, sure: bool = False) -> Dialect:
    """The dialect in which the records of a sample have the most often as many fields as its header.

    The `usual` delimiter, always where it is `sure`, and the double quote count unless others fit clearly better.
    `whole` says that nothing follows the sample, whose last record else is cut off.
    """

    def with_quotes(quote: str = '"', escape: str | None = None) -> tuple[float, Dialect]:
        dialect = Dialect(usual, quote, escape)
        if not sure:
            dialect = replace(dialect, delimiter=_delimiter(sample, whole, dialect))
        return _fit(sample, whole, dialect, fewest=1), dialect

    fit, found = with_quotes()
    if sample.lstrip().startswith("'"):
        fit_of_single, single = with_quotes("'")
        return single if fit_of_single >= fit else found
    if '\\"' in sample:
        fit_of_escaped, escaped = with_quotes(escape="\\")
        return escaped if fit_of_escaped > fit else found
    return found


def _delimiter(sample: str, whole: bool, usual: Dialect) -> str:
    delimiters = (usual.delimiter, *_DELIMITERS)
    fits = {one: _fit(sample, whole, replace(usual, delimiter=one), fewest=2) for one in delimiters}
    best = max(fits, key=lambda one: fits[one])
    # Where the usual one finds no columns it is only preferred to what finds hardly any either.
    needed = fits[usual.delimiter] + _CLEARLY_BETTER if fits[usual.delimiter] else _LEAST_FIT
    return best if fits[best] >= needed else usual.delimiter


def _fit(sample: str, whole: bool, dialect: Dialect, fewest: int) -> float:
    """The share of records with as many fields as the header; 0 where that has fewer than `fewest`."""
    header, *records = _records(sample, whole, dialect) or [[]]
    if len(header) < fewest:
        return 0.0
    fitting = sum(len(record) == len(header) for record in records)
    return fitting / len(records) if records else 1.0


def _records(sample: str, whole: bool, dialect: Dialect) -> list[list[str]]:
    records: list[list[str]] = []
    with suppress(csv.Error):
        for record in islice(filter(None, dialect.reader(StringIO(sample, newline=""))), _SNIFFED_RECORDS + 1):
            records.append(record)
    return records if whole or len(records) > _SNIFFED_RECORDS else records[:-1] or records
