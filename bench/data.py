"""The reviews that are timed: real ones, in the order of their hashes, other ones each round while there are enough."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.model import operations
from producer.sources import Record, open_source

#: Reviews of one round; IMDb's are ten times as long.
DATA_SETS = {"rotten_tomatoes": 1_000, "imdb": 200}
#: Reviews before those that are timed: to warm up on, to calibrate on and to choose a precision on.
WARM_UP = 800
MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Slice:
    """The reviews of one round, and the number of tokens of each, special ones included, cut at MAX_TOKENS."""

    texts: list[str]
    lengths: list[int]

    def tokens(self, reviews: int) -> int:
        """Tokens of the first so many."""
        return sum(self.lengths[:reviews])

    def operations(self, reviews: int) -> int:
        """Multiplications and additions that the first so many take, without padding."""
        return sum(operations(length) for length in self.lengths[:reviews])


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set's reviews, no text twice: what is warmed up on, and a slice for each round."""

    name: str
    warm_up: list[str]
    rounds: list[Slice]


def load_data_set(name: str, reviews: int, rounds: int, model: Path) -> DataSet:
    """Read a demo set, both splits. With too few reviews for other ones each round, all rounds get the same."""
    texts = _texts(name, WARM_UP + reviews * rounds)
    warm_up, rest = texts[:WARM_UP], texts[WARM_UP:]
    lengths, size = _lengths(rest, model), min(reviews, len(rest))
    begins = [number * size if size * rounds <= len(rest) else 0 for number in range(rounds)]
    return DataSet(name, warm_up, [Slice(rest[at : at + size], lengths[at : at + size]) for at in begins])


def cut_texts(texts: Sequence[str], model: Path, token_budget: int) -> list[list[int]]:
    """The batches that a worker would cut for an engine that any shape costs the same, as indices of the texts."""
    from worker.batching import BatchCutter
    from worker.engines.base import BatchCosts

    return [cut.indices for cut in BatchCutter(BatchCosts()).cut(_lengths(texts, model), token_budget)]


def write_texts(path: Path, texts: Sequence[str]) -> Path:
    """As the peers read them: a JSON list."""
    path.write_text(json.dumps(list(texts), ensure_ascii=False), encoding="utf-8")
    return path


def write_reviews(path: Path, texts: Sequence[str]) -> Path:
    """As `reviewmill score` reads them: a line of JSON each."""
    lines = (json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _texts(name: str, count: int) -> list[str]:
    records = (one for one in open_source(f"demo:{name}").records() if isinstance(one, Record))
    return list(islice(dict.fromkeys(str(record.values["text"]) for record in records), count))


def _lengths(texts: Sequence[str], model: Path) -> list[int]:
    from worker.checkpoints.tokenizer import load_tokenizer, tokenize

    return [one.length for one in tokenize(load_tokenizer(model), texts, None, MAX_TOKENS)]
