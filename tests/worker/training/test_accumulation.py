"""Several small batches make the step that one large one makes."""

from collections.abc import Sequence

import numpy as np
import pytest

from db.checkpoint import SINGLE_LABEL
from db.training import TrainingExample
from tests.samples import CHECKPOINTS
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.checkpoints.tokenizer import load_tokenizer
from worker.training.batches import cut_step
from worker.training.fit import compile_classifier, encode_examples, fit_classifier
from worker.training.learning_rate import WarmUpThenDecay
from worker.training.progress import Progress

LABELS = ("bad", "good")
WORDS = ("film", "price", "screen", "wonderful", "terrible")


def trained(batch_size: int, accumulate: int, examples: int) -> Classifier:
    """The small BERT after two epochs without dropout, on texts of one to five words."""
    model = load_classifier(CHECKPOINTS / "bert", labels=LABELS, dropout=0.0)
    steps = 2 * -(-examples // (batch_size * accumulate))
    params = {"learning_rate": 1e-3, "steps": steps, "epochs": 2, "seed": 5, "class_weights": "balanced"}
    params |= {"batch_size": batch_size, "accumulate": accumulate}
    compile_classifier(model, params)
    tokenizer = load_tokenizer(CHECKPOINTS / "bert")
    texts = [" ".join(WORDS[: 1 + number % 5]) + f" {number}" for number in range(examples)]
    rows = [TrainingExample(at, text, None, LABELS[at % 3 == 0]) for at, text in enumerate(texts)]
    data = encode_examples(tokenizer, rows, LABELS, SINGLE_LABEL, 16, lambda: None)
    fit_classifier(model, data, params, tokenizer.pad_token_id, [])
    return model


def distance(one: Classifier, other: Classifier) -> float:
    """The length of the way from one model's weights to the other's."""
    weights = zip(one.weights, other.weights, strict=True)
    return float(np.sqrt(sum(np.square(mine.numpy() - yours.numpy()).sum() for mine, yours in weights)))


# Of the last step's examples: five, which do not divide evenly, and one.
@pytest.mark.parametrize("examples", [37, 33])
def test_two_batches_of_eight_are_one_of_sixteen(examples: int) -> None:
    whole, cut = trained(16, 1, examples), trained(8, 2, examples)
    moved = distance(whole, load_classifier(CHECKPOINTS / "bert", labels=LABELS))
    # Adam takes a step of full size also where a gradient is nothing but rounding.
    assert distance(whole, cut) < 0.01 * moved
    assert int(cut.optimizer.iterations) == int(whole.optimizer.iterations)


def test_steps_of_half_the_examples_make_another_model() -> None:
    whole, halved = trained(16, 1, 37), trained(8, 1, 37)
    assert distance(whole, halved) > 0.3 * distance(whole, load_classifier(CHECKPOINTS / "bert", labels=LABELS))


@pytest.mark.parametrize(("sizes", "count"), [((2, 2), 2), ((3, 2), 2), ((2, 2, 1), 3), ((1, 0, 0), 3)])
def test_the_parts_of_a_step_weigh_as_much_as_their_examples(sizes: Sequence[int], count: int) -> None:
    step = np.arange(10, 10 + sum(sizes))
    parts = list(cut_step(step, count))
    losses = step.astype(np.float64) ** 2
    means = [losses[part - 10].mean() * factor for part, factor in parts]
    assert np.mean(means) == pytest.approx(losses.mean(), rel=1e-6)
    assert [len(part) for part, _ in parts] == [max(1, size) for size in sizes]


def test_the_rate_moves_step_by_step() -> None:
    rates = [float(WarmUpThenDecay(1e-3, 20, 0.1, 3)(batch)) for batch in range(60)]
    np.testing.assert_allclose(rates[2::3], [float(WarmUpThenDecay(1e-3, 20, 0.1)(step)) for step in range(20)])


def test_a_step_ends_with_its_last_batch() -> None:
    progress = Progress(steps=6, epochs=3, first=2, accumulate=2)
    assert [progress.ended_step(batch) for batch in range(4)] == [None, 3, None, 4]
