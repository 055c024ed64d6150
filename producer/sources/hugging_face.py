"""Datasets of the Hugging Face hub, or in its layout on disk, streamed."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable
from producer.sources.breaks import telling_rows

#: How such a source is written, for messages.
HF_FORMS = "hf:NAME[:SPLIT] or hf:NAME:CONFIGURATION:SPLIT"


class HuggingFaceSource:
    """`NAME[:[CONFIGURATION:]SPLIT]`, of the hub or a directory; `row` counts from 1.

    Labels that the dataset numbers come as their names, and one that it does not know as none. Records are fetched as
    they are read; memory stays flat.

    Raises SourceError for a dataset that cannot be had, and where there are several splits and none is named.
    """

    def __init__(self, rest: str) -> None:
        self.name = f"hf:{rest}"
        self.notices: list[str] = []
        name, configuration, split = _taken_apart(rest)
        with _told_plainly(self.name):
            self._data = _one_split(_load(name, configuration), split, self.name)
            # Of some formats the first record alone tells the columns.
            self._columns = self._data.column_names or list(next(iter(self._data), {}))
        self._told = 0

    def columns(self) -> list[str] | None:
        """Return the columns in order."""
        return list(self._columns)

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Every record in order, with the columns of `only` where it is given."""
        return telling_rows(self._records([name for name in self._columns if only is None or name in only]))

    def rows(self) -> int | None:
        """Return the number of rows, where the dataset's description tells it."""
        info = (self._data.info.splits or {}).get(str(self._data.split))
        return None if info is None else info.num_examples

    def share_read(self) -> float | None:
        """Return the share of the rows that the latest `records` has given, where their number is known."""
        rows = self.rows()
        return min(1.0, self._told / rows) if rows else None

    def _records(self, columns: list[str]) -> Iterator[Record]:
        self._told = 0
        with _told_plainly(self.name):
            data = self._data.select_columns(columns)
            namers = _label_namers(data.features or {})
            for values in data:
                self._told += 1
                named = {column: name_of(values[column]) for column, name_of in namers.items()}
                yield Record(self._told, values | named)


def _taken_apart(rest: str) -> tuple[str, str | None, str | None]:
    """Name, configuration and split."""
    name, *more = rest.split(":")
    if not name or len(more) > 2 or not all(more):
        raise SourceError(f"{'hf:' + rest!r} names no dataset; it is {HF_FORMS}")
    is_path = name.startswith(("/", ".", "~"))
    if is_path and not Path(name).expanduser().is_dir():
        raise SourceError(f"no such directory: {name!r}")
    configuration, split = [None, None, *more][-2:]
    return str(Path(name).expanduser()) if is_path else name, configuration, split


def _load(name: str, configuration: str | None) -> dict[str, datasets.IterableDataset]:
    # What it says on its own would stand between our lines.
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return datasets.load_dataset(name, configuration, streaming=True)


def _one_split(
    splits: dict[str, datasets.IterableDataset], wanted: str | None, source: str
) -> datasets.IterableDataset:
    if wanted is None and len(splits) == 1:
        return next(iter(splits.values()))
    if wanted in splits:
        return splits[wanted]
    wrong = "several splits" if wanted is None else f"no split {wanted!r}"
    whole = source if wanted is None else source.rpartition(":")[0]
    raise SourceError(f"{whole} has {wrong}; name one of {', '.join(f'{whole}:{split}' for split in splits)}")


def _label_namers(features: dict[str, Any]) -> dict[str, Callable[[Any], Any]]:
    """What makes names of the numbers that stand for labels, by column."""
    found: dict[str, Callable[[Any], Any]] = {}
    for column, feature in features.items():
        if isinstance(feature, datasets.ClassLabel):
            found[column] = _namer(feature)
        elif isinstance(getattr(feature, "feature", None), datasets.ClassLabel):
            found[column] = _list_namer(_namer(feature.feature))
    return found


def _namer(feature: datasets.ClassLabel) -> Callable[[Any], Any]:
    # -1 is the usual number of a label that is not known.
    return lambda number: None if number is None or number < 0 else feature.int2str(number)


def _list_namer(named: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda numbers: None if numbers is None else [named(number) for number in numbers]


@contextmanager
def _told_plainly(source: str) -> Iterator[None]:
    # The library, and each of those it reads with, have errors of their own, of no common kind.
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SourceError(f"{source} can not be read: {reason}") from error
