"""The null engine needs no model, and says the same of the same review."""

from collections.abc import Callable

import numpy as np
from sqlalchemy import select

from db.registry import RegisteredModel
from db.tables import Prediction
from tests.samples import SomeReview
from worker.batching import collate
from worker.checkpoints.tokenizer import Encoded
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.null import NullEngine
from worker.models import LoadedModels
from worker.scoring import score_chunks


def encoded(*ids: int) -> Encoded:
    return Encoded(np.array(ids, np.int32), np.zeros(len(ids), np.int32), len(ids), False)


def test_a_review_gets_the_same_logits_in_every_batch() -> None:
    engine = NullEngine(3)
    first, second = encoded(1, 7, 2), encoded(1, 9, 8, 3, 2)
    together = engine.logits(collate([first, second], padding_id=5))
    assert (together.shape, together.dtype) == ((2, 3), np.float32)
    for row, one in enumerate((first, second)):
        np.testing.assert_array_equal(together[row], engine.logits(collate([one], padding_id=5))[0])
    assert not np.array_equal(together[0], together[1])


def test_it_scores_a_job_of_any_checkpoint(
    context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel], make_chunk: Callable[..., int]
) -> None:
    settings = context.settings.model_copy(update={"engine": "null"})
    context.models = LoadedModels(context.database, settings, "cpu@here")
    model = add_checkpoint("roberta-multi-label")
    reviews = [SomeReview(str(number), f"review {number}") for number in range(20)]
    run_chunk(context, make_chunk(model.id, reviews), score_chunks)
    with context.database.read() as connection:
        labels = [set(row) for row in connection.scalars(select(Prediction.probabilities))]
    assert labels == [set(model.labels)] * 20
