"""The classification heads that KerasHub lacks, as the modeling files of transformers have them."""

from typing import Any

from worker.backend import keras
from worker.checkpoints.settings import Settings

#: The last layer, in every family.
_LOGITS = "logits"


def apply_head(family: str, features: Any, classes: int, settings: Settings) -> Any:
    """Put a family's head on symbolic features [batch, hidden]; returns float32 logits [batch, classes].

    BERT and ALBERT: dropout, dense. DistilBERT: dense, ReLU, dropout, dense. RoBERTa and XLM-RoBERTa:
    dropout, dense, tanh, dropout, dense.
    """
    if family in ("roberta", "xlm-roberta"):
        features = _dropout("head_input_dropout", settings)(features)
        features = keras.layers.Dense(settings.hidden, activation="tanh", name="head_dense")(features)
    elif family == "distilbert":
        features = keras.layers.Dense(settings.hidden, activation="relu", name="head_dense")(features)
    features = _dropout("head_dropout", settings)(features)
    # float32 also under mixed precision: probabilities are computed from these.
    return keras.layers.Dense(classes, name=_LOGITS, dtype="float32")(features)


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Make the model's logits smaller by this factor, by the weights of the layer that computes them."""
    for variable in model.get_layer(_LOGITS).weights:
        variable.assign(variable / temperature)


def _dropout(name: str, settings: Settings) -> keras.layers.Layer:
    return keras.layers.Dropout(settings.head_dropout, name=name)
