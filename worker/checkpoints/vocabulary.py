"""A model with the rows of its token table that a training meets: of the others only their decay is known.

A row of a token that no text has gets no gradient, and so no moments: AdamW shrinks it by the same factor as every
other that decays, and does nothing else to it. Of the 250,000 rows of XLM-RoBERTa a few thousand reviews meet one in
ten or fewer, and the table with its gradient and two moments is most of what such a training holds in memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from worker.checkpoints.families import WORDS
from worker.checkpoints.tokenizer import Encoded
from worker.checkpoints.weights import Weights


def met_tokens(encoded: Iterable[Encoded], padding_id: int) -> np.ndarray:
    """The ids in these texts, int32, ascending; and those up to the padding's, which so keeps its number."""
    return np.unique(np.concatenate([np.arange(padding_id + 1, dtype=np.int32), *(one.ids for one in encoded)]))


def renumber(encoded: Sequence[Encoded], met: np.ndarray) -> list[Encoded]:
    """The same texts by the places of their ids in `met`, which has all of them."""
    return [one._replace(ids=np.searchsorted(met, one.ids).astype(np.int32)) for one in encoded]


def keep_tokens(weights: Weights, met: np.ndarray) -> Weights:
    """The weights with the rows of those ids, and one more of ones, which no text has: it shows how the others decay.

    Raises CheckpointLoadError where the table is not of the shape that config.json tells.
    """
    settings = weights.settings
    table = weights.encoder_tensor(WORDS, (settings.vocabulary, settings.embedding))
    rows = np.concatenate([table[met], np.ones((1, settings.embedding), np.float32)])
    tensors = weights.tensors | {weights.prefix + WORDS: rows}
    return replace(weights, settings=replace(settings, vocabulary=len(rows)), tensors=tensors)


def put_back(rows: np.ndarray, met: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The whole table, of trained rows and of those of the base's table that were left out, decayed like the last."""
    whole = table * rows[-1, 0]
    whole[met] = rows[:-1]
    return whole
