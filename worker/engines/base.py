"""What every engine does. Importing this imports no machine-learning library."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from worker.errors import TokenBeyondVocabulary


@dataclass(frozen=True, slots=True)
class Batch:
    """Reviews of one inference call, padded on the right to one length: three int32 arrays [batch, length].

    padding_mask is 1 for a token and 0 for padding, where token_ids holds the tokenizer's padding id.
    segment_ids is 0 throughout for families that have no segments; their engines ignore it.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    padding_mask: np.ndarray


@dataclass(frozen=True, slots=True)
class BatchCosts:
    """What a batch costs an engine, in tokens, beside those in it: how batches are best cut follows from this.

    `call` is for calling the engine and starting its kernels: measured, MiniLM on two cores pays for some 30; a larger
    figure makes larger batches with more padding. `size` is for a number of tokens, and `shape` for one of rows and one
    of tokens in each, that the engine meets for the first time and has to make kernels for.
    """

    call: int = 64
    size: int = 0
    shape: int = 0


class Engine(Protocol):
    """Runs one checkpoint on one device."""

    @property
    def costs(self) -> BatchCosts:
        """What its batches cost."""
        ...

    def logits(self, batch: Batch) -> np.ndarray:
        """Return float32 logits [batch, classes], rows in the order of the batch."""
        ...


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """An engine that computes several batches at once, one on each of its streams.

    A token budget is what all of them take together.
    """

    streams: int

    def start(self, batch: Batch) -> Callable[[], np.ndarray]:
        """Begin with a batch; what is returned waits for its logits, as above, and may raise as `logits` does."""
        ...


def streams_of(engine: Engine) -> int:
    """How many batches the engine computes at once."""
    return engine.streams if isinstance(engine, StreamingEngine) else 1


def check_vocabulary(batch: Batch, size: int) -> None:
    """Raise TokenBeyondVocabulary where a token has no embedding: a library may take zeros for it, silently."""
    if (last := int(batch.token_ids.max())) >= size:
        raise TokenBeyondVocabulary(f"token {last} has no embedding: the model knows {size} tokens")
