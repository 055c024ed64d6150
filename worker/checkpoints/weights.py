"""The tensors of a checkpoint directory, each under its exact name and checked against config.json.

No model library is needed here: what builds a model of them is the engines' and the trainer's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.checkpoint import CheckpointFacts, read_checkpoint_facts, read_config, weights_files
from db.errors import CheckpointError
from worker.checkpoints.families import FAMILIES, POSITIONS, SEGMENT_TYPES, WORDS, Family, Slot
from worker.checkpoints.settings import Settings, read_settings
from worker.checkpoints.tensors import read_tensors
from worker.errors import CheckpointLoadError

Tensors = dict[str, np.ndarray]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """A checkpoint's tensors, float32, by stored name. `has_head` tells whether its own head is to be used."""

    facts: CheckpointFacts
    settings: Settings
    tensors: Tensors
    has_head: bool

    @property
    def family(self) -> Family:
        """The names of its family."""
        return FAMILIES[self.facts.family]

    @property
    def prefix(self) -> str:
        """How the names of the encoder's tensors begin."""
        return _prefix(self.family, self.tensors)

    @property
    def slots(self) -> list[Slot]:
        """The tensors that the model needs, under their whole names, and where Keras puts each."""
        return _slots(self.family, self.settings, self.tensors, self.has_head)

    def encoder_tensor(self, name: str, shape: Shape) -> np.ndarray:
        """A tensor of the encoder, by its name without the family's prefix. Raises CheckpointLoadError."""
        return self.tensor(self.prefix + name, shape)

    def tensor(self, name: str, shape: Shape) -> np.ndarray:
        """A tensor by its whole name. Raises CheckpointLoadError where it is missing or has another shape."""
        if name not in self.tensors:
            raise CheckpointLoadError(f"the tensor {name} is missing from the weights")
        if self.tensors[name].shape != shape:
            found = list(self.tensors[name].shape)
            raise CheckpointLoadError(f"the tensor {name} has shape {found}; by config.json it must have {list(shape)}")
        return self.tensors[name]


def read_weights(directory: Path, labels: Sequence[str] | None = None) -> Weights:
    """Read a checkpoint. Its own head is used where labels are None or its own.

    RoBERTa's one token type is folded into the positions. Raises CheckpointLoadError, one line naming the
    directory and the tensor or the setting.
    """
    try:
        facts = read_checkpoint_facts(directory)
        settings = read_settings(facts.family, read_config(directory))
        tensors = read_tensors(weights_files(directory))
        has_head = facts.labels is not None and (labels is None or tuple(labels) == facts.labels)
        weights = Weights(facts, settings, tensors, has_head)
        _refuse_strangers(weights)
        if weights.family.folds_token_types:
            _fold_token_types(weights)
        return weights
    except CheckpointError as error:
        raise CheckpointLoadError(str(error)) from error
    except CheckpointLoadError as error:
        raise named(directory, error) from error


def named(directory: Path, error: CheckpointLoadError) -> CheckpointLoadError:
    """The error, with the directory that it is about."""
    message = str(error)
    return error if message.startswith(str(directory)) else CheckpointLoadError(f"{directory}: {message}")


def _prefix(family: Family, tensors: Mapping[str, np.ndarray]) -> str:
    """Return "" for an encoder saved without a head around it, else the family's prefix."""
    return "" if WORDS in tensors else family.prefix


def _slots(family: Family, settings: Settings, tensors: Tensors, own_head: bool) -> list[Slot]:
    prefix = _prefix(family, tensors)
    slots = [slot.prefixed(prefix) for slot in family.encoder_slots(settings.groups, settings.repetitions)]
    poolers = [slot.prefixed(prefix) for slot in family.pooler]
    if own_head:
        return [*slots, *poolers, *family.head]
    return [*slots, *(poolers if any(slot.tensor in tensors for slot in poolers) else [])]


def _fold_token_types(weights: Weights) -> None:
    """Add the embedding of token type 0, which every RoBERTa token has, to the positions."""
    settings, prefix = weights.settings, _prefix(weights.family, weights.tensors)
    types = weights.encoder_tensor(SEGMENT_TYPES, (settings.segments, settings.hidden))
    positions = weights.encoder_tensor(POSITIONS, (settings.positions, settings.hidden))
    weights.tensors[prefix + POSITIONS] = positions + types[0]


def _refuse_strangers(weights: Weights) -> None:
    """Refuse encoder weights that nothing would use: config.json then tells of another model."""
    prefix = _prefix(weights.family, weights.tensors)
    known = {slot.tensor for slot in weights.slots} | {prefix + SEGMENT_TYPES}
    places = tuple(prefix + place for place in ("embeddings.", "encoder.", "transformer."))
    strangers = sorted(name for name in weights.tensors if name.startswith(places) and name not in known)
    if strangers:
        raise CheckpointLoadError(f"the tensor {strangers[0]} has no place in the model that config.json describes")
