"""Training batches: shuffled every epoch, yet of nearly equal lengths within a batch."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from worker.backend import tf
from worker.batching import collate
from worker.checkpoints.tokenizer import Encoded

#: Batches whose examples are sorted by length together: wide enough that little padding is left,
#: narrow enough that every epoch mixes the examples anew.
_POOL_BATCHES = 100


def epoch_order(lengths: Sequence[int], batch_size: int, random: np.random.Generator) -> list[np.ndarray]:
    """The batches of one epoch as indices: every example once, neighbours in length together."""
    order = random.permutation(len(lengths))
    pool = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        members = order[start : start + pool]
        by_length = members[np.argsort(np.asarray(lengths)[members], kind="stable")]
        batches += [by_length[at : at + batch_size] for at in range(0, len(by_length), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


def cut_step(step: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.float32]]:
    """Cut the examples of a step into `count` batches, each with the factor by which its mean loss is to count.

    The mean of these batches' means is then the mean over the step's examples, also where they do not divide evenly.
    Where there are fewer examples than batches, the first fills these up and counts for nothing.
    """
    for part in np.array_split(step, count):
        yield part if len(part) else step[:1], np.float32(count * len(part) / len(step))


def training_data(
    encoded: Sequence[Encoded],
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    batch_size: int,
    accumulate: int,
    epochs: int,
    first_step: int,
    seed: int,
    padding_id: int,
    input_names: Sequence[str],
) -> Any:
    """A tf.data dataset of all epochs, one after the other.

    Its elements are ({input: int32 [batch, tokens]}, targets [batch, ...], weights float32 [batch]), the weights being
    those of the examples in the loss. `accumulate` of these batches make a step, of the very examples that one batch
    of as many has. It starts at `first_step`, counted from 0, with the very batches that a run from the start has from
    there on.
    """
    lengths = [one.length for one in encoded]

    def generate() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        random = np.random.default_rng(seed)
        steps = chain.from_iterable(epoch_order(lengths, batch_size * accumulate, random) for _ in range(epochs))
        for step in islice(steps, first_step, None):
            for indices, factor in cut_step(step, accumulate):
                batch = collate([encoded[index] for index in indices], padding_id)
                yield {name: getattr(batch, name) for name in input_names}, targets[indices], weights[indices] * factor

    matrix = tf.TensorSpec([None, None], tf.int32)
    signature = (
        dict.fromkeys(input_names, matrix),
        tf.TensorSpec([None, *targets.shape[1:]], targets.dtype),
        tf.TensorSpec([None], tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)
    return dataset.with_options(_untuned())


def _untuned() -> Any:
    """Options without the thread that tunes a dataset: there is nothing to tune, and the end of a fit waits for it.

    It sleeps twice as long each time, up to a minute, and is not always woken: a training of half a minute then ended
    41 s after it began.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
