"""The Keras model of a checkpoint: an encoder of one of the five families with its classification head."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worker.backend import keras
from worker.checkpoints.backbones import build_backbone
from worker.checkpoints.encoding import encode
from worker.checkpoints.families import FAMILIES
from worker.checkpoints.heads import apply_head
from worker.checkpoints.settings import Settings


class Classifier(keras.Model):
    """Token ids in, logits out.

    Takes a dict of int32 [batch, length]: token_ids, padding_mask (1 for a token, 0 for padding) and, for
    BERT and ALBERT only, segment_ids. Returns float32 logits [batch, classes]. Trains with Keras fit:
    dropout is active then.

    family, settings, labels and problem_type describe it. fresh_variables names the variables that the
    checkpoint did not fill and that hold seeded random numbers: empty for a checkpoint loaded with its own
    head. met_tokens are the ids whose rows of the token table it has, where it has not all: it then takes
    their places among these for token ids (worker.checkpoints.vocabulary). The encoder's layers multiply in the format
    `products`, or in that in which Keras computes.
    """

    def __init__(
        self,
        family: str,
        settings: Settings,
        labels: Sequence[str],
        problem_type: str,
        met_tokens: np.ndarray | None = None,
        products: str | None = None,
    ) -> None:
        backbone = build_backbone(family, settings)
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in input_names(family)}
        features = encode(family, backbone, inputs, settings, products)
        super().__init__(inputs=inputs, outputs=apply_head(family, features, len(labels), settings))
        self.backbone = backbone
        self.family = family
        self.settings = settings
        self.labels = tuple(labels)
        self.problem_type = problem_type
        self.met_tokens = met_tokens
        self.fresh_variables: tuple[str, ...] = ()

    def variables_by_path(self) -> dict[str, Any]:
        """Return every weight (trained or loaded, no random state) by its Keras path."""
        return {weight.path: weight for weight in self.weights}


def input_names(family: str) -> tuple[str, ...]:
    """Return the names of the inputs that a family's model takes."""
    if FAMILIES[family].segments:
        return ("token_ids", "segment_ids", "padding_mask")
    return ("token_ids", "padding_mask")
