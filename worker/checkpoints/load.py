"""Makes a Keras classifier of a checkpoint directory, every tensor by its exact name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from db.checkpoint import (
    CheckpointFacts,
    normalise_problem_type,
    read_checkpoint_facts,
    read_config,
    weights_files,
)
from db.errors import CheckpointError
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.families import FAMILIES, POSITIONS, SEGMENT_TYPES, WORDS, Family, Slot
from worker.checkpoints.settings import Settings, read_settings
from worker.checkpoints.tensors import read_tensors
from worker.errors import CheckpointLoadError

Tensors = dict[str, np.ndarray]
Shape = tuple[int, ...]


def load_classifier(
    directory: Path,
    *,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    seed: int = 0,
    dropout: float | None = None,
) -> Classifier:
    """Load a checkpoint directory as a Keras model.

    With labels None or equal to the checkpoint's own, every variable comes from the checkpoint. A bare
    encoder, or labels of another kind, gets a fresh head (and a pooler where the checkpoint has none) of
    len(labels) classes: normal weights of the config's initializer_range drawn from the seed, biases 0. The
    model's fresh_variables names these. The seed also starts the dropout layers, so equal seeds train alike.

    Raises CheckpointLoadError, one line naming the directory and the tensor or the setting.
    """
    try:
        facts = read_checkpoint_facts(directory)
        config = read_config(directory)
        settings = read_settings(facts.family, config)
        if dropout is not None:
            settings = replace(settings, hidden_dropout=dropout, attention_dropout=dropout, head_dropout=dropout)
        tensors = read_tensors(weights_files(directory))
        return _load(facts, settings, tensors, labels, problem_type, seed)
    except CheckpointError as error:
        raise CheckpointLoadError(str(error)) from error
    except CheckpointLoadError as error:
        raise _named(directory, error) from error


def _named(directory: Path, error: CheckpointLoadError) -> CheckpointLoadError:
    message = str(error)
    return error if message.startswith(str(directory)) else CheckpointLoadError(f"{directory}: {message}")


def _load(
    facts: CheckpointFacts,
    settings: Settings,
    tensors: Tensors,
    labels: Sequence[str] | None,
    problem_type: str | None,
    seed: int,
) -> Classifier:
    own_head = facts.labels is not None and (labels is None or tuple(labels) == facts.labels)
    chosen = facts.labels if labels is None else tuple(labels)
    if not chosen:
        raise CheckpointLoadError("it is a bare encoder without a classification head; give the labels of a new one")
    stated = problem_type or (facts.problem_type if own_head else None)
    model = Classifier(facts.family, settings, chosen, normalise_problem_type(stated, len(chosen)))
    family = FAMILIES[facts.family]
    slots = _slots(family, settings, tensors, own_head)
    _refuse_strangers(family, slots, tensors)
    if family.folds_token_types:
        _fold_token_types(family, settings, tensors)
    _assign(model, slots, tensors)
    model.fresh_variables = _fill_fresh(model, slots, seed)
    _refuse_gaps(own_head, model.fresh_variables)
    _start_dropout(model, seed)
    return model


def _prefix(family: Family, tensors: Mapping[str, np.ndarray]) -> str:
    """Return "" for an encoder saved without a head around it, else the family's prefix."""
    return "" if WORDS in tensors else family.prefix


def _slots(family: Family, settings: Settings, tensors: Tensors, own_head: bool) -> list[Slot]:
    """List the slots that the checkpoint must fill, under their whole names."""
    prefix = _prefix(family, tensors)
    slots = [slot.prefixed(prefix) for slot in family.encoder_slots(settings.groups, settings.repetitions)]
    poolers = [slot.prefixed(prefix) for slot in family.pooler]
    if own_head:
        return [*slots, *poolers, *family.head]
    return [*slots, *(poolers if any(slot.tensor in tensors for slot in poolers) else [])]


def _fold_token_types(family: Family, settings: Settings, tensors: Tensors) -> None:
    """Add the embedding of token type 0, which every RoBERTa token has, to the positions."""
    prefix = _prefix(family, tensors)
    types = _tensor(tensors, prefix + SEGMENT_TYPES, (settings.segments, settings.hidden))
    positions = _tensor(tensors, prefix + POSITIONS, (settings.positions, settings.hidden))
    tensors[prefix + POSITIONS] = positions + types[0]


def _tensor(tensors: Tensors, name: str, shape: Shape) -> np.ndarray:
    if name not in tensors:
        raise CheckpointLoadError(f"the tensor {name} is missing from the weights")
    if tensors[name].shape != shape:
        found = list(tensors[name].shape)
        raise CheckpointLoadError(f"the tensor {name} has shape {found}; by config.json it must have {list(shape)}")
    return tensors[name]


def _refuse_strangers(family: Family, slots: list[Slot], tensors: Tensors) -> None:
    """Refuse encoder weights that nothing would use: config.json then tells of another model."""
    prefix = _prefix(family, tensors)
    known = {slot.tensor for slot in slots} | {prefix + SEGMENT_TYPES}
    places = tuple(prefix + place for place in ("embeddings.", "encoder.", "transformer."))
    strangers = sorted(name for name in tensors if name.startswith(places) and name not in known)
    if strangers:
        raise CheckpointLoadError(f"the tensor {strangers[0]} has no place in the model that config.json describes")


def _assign(model: Classifier, slots: list[Slot], tensors: Tensors) -> None:
    variables = model.variables_by_path()
    for slot in slots:
        variable = variables[slot.variable]
        shape = tuple(variable.shape)
        stored = _tensor(tensors, slot.tensor, slot.layout.stored_shape(shape))
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
