"""Makes a Keras classifier of a checkpoint directory, every tensor by its exact name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from db.checkpoint import normalise_problem_type
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.families import Slot
from worker.checkpoints.settings import Settings
from worker.checkpoints.shrink import keep_layers
from worker.checkpoints.vocabulary import keep_tokens
from worker.checkpoints.weights import Weights, named, read_weights
from worker.errors import CheckpointLoadError


def load_classifier(
    directory: Path,
    *,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    seed: int = 0,
    dropout: float | None = None,
    layers: int | None = None,
    met_tokens: np.ndarray | None = None,
    products: str | None = None,
) -> Classifier:
    """Load a checkpoint directory as a Keras model.

    With labels None or equal to the checkpoint's own, every variable comes from the checkpoint. A bare
    encoder, or labels of another kind, gets a fresh head (and a pooler where the checkpoint has none) of
    len(labels) classes: normal weights of the config's initializer_range drawn from the seed, biases 0. The
    model's fresh_variables names these. The seed also starts the dropout layers, so equal seeds train alike.
    Of the encoder's layers so many are kept, evenly spread, and of the token table the rows of met_tokens; None keeps
    all. The layers multiply in the format `products`, "bfloat16" or "float32"; None takes that of Keras's policy.

    Raises CheckpointLoadError, one line naming the directory and the tensor or the setting.
    """
    weights = read_weights(directory, labels)
    try:
        if layers is not None:
            weights = keep_layers(weights, layers)
        if met_tokens is not None:
            weights = keep_tokens(weights, met_tokens)
        settings = weights.settings
        if dropout is not None:
            settings = replace(settings, hidden_dropout=dropout, attention_dropout=dropout, head_dropout=dropout)
        model = _built(weights, settings, labels, problem_type, met_tokens, products)
        _fill(model, weights, seed)
        return model
    except CheckpointLoadError as error:
        raise named(directory, error) from error


def _built(
    weights: Weights,
    settings: Settings,
    labels: Sequence[str] | None,
    problem_type: str | None,
    met_tokens: np.ndarray | None,
    products: str | None,
) -> Classifier:
    facts = weights.facts
    chosen = facts.labels if labels is None else tuple(labels)
    if not chosen:
        raise CheckpointLoadError("it is a bare encoder without a classification head; give the labels of a new one")
    stated = problem_type or (facts.problem_type if weights.has_head else None)
    kind = normalise_problem_type(stated, len(chosen))
    return Classifier(facts.family, settings, chosen, kind, met_tokens, products)


def _fill(model: Classifier, weights: Weights, seed: int) -> None:
    slots = weights.slots
    _assign(model, slots, weights)
    model.fresh_variables = _fill_fresh(model, slots, seed)
    _refuse_gaps(weights.has_head, model.fresh_variables)
    _start_dropout(model, seed)


def _assign(model: Classifier, slots: list[Slot], weights: Weights) -> None:
    variables = model.variables_by_path()
    for slot in slots:
        variable = variables[slot.variable]
        shape = tuple(variable.shape)
        stored = weights.tensor(slot.tensor, slot.layout.stored_shape(shape))
        variable.assign(slot.layout.to_keras(stored, shape))


def _fill_fresh(model: Classifier, slots: list[Slot], seed: int) -> tuple[str, ...]:
    """Draw the head, and a pooler that the checkpoint lacks, from the seed; returns the paths."""
    filled = {slot.variable for slot in slots}
    random = np.random.default_rng(seed)
    fresh = [(path, variable) for path, variable in model.variables_by_path().items() if path not in filled]
    for path, variable in fresh:
        if path.endswith("/bias"):
            variable.assign(np.zeros(variable.shape))
        else:
            variable.assign(random.normal(0.0, model.settings.initializer_range, variable.shape))
    return tuple(path for path, _ in fresh)


def _refuse_gaps(own_head: bool, fresh: tuple[str, ...]) -> None:
    """Refuse a model whose own head was not wholly filled: its answers would be random."""
    if own_head and fresh:
        raise CheckpointLoadError(f"no tensor of the checkpoint fills {', '.join(fresh)}")


def _start_dropout(model: Classifier, seed: int) -> None:
    states = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign([seed, index])
