"""What a model is built from: config.json with one name for each number, defaults filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import CONFIG_MAPPING

from worker.errors import CheckpointLoadError

#: hidden_act of a checkpoint -> (Keras activation, whether GELU is the tanh approximation).
ACTIVATIONS: Mapping[str, tuple[str, bool]] = {
    "gelu": ("gelu", False),
    "gelu_python": ("gelu", False),
    "gelu_new": ("gelu", True),
    "gelu_fast": ("gelu", True),
    "gelu_pytorch_tanh": ("gelu", True),
    "relu": ("relu", False),
    "silu": ("silu", False),
    "swish": ("silu", False),
}

#: Labels are read from the checkpoint by db.checkpoint; here they could only make the config class refuse.
_NOT_FOR_THE_SHAPE = ("id2label", "label2id", "problem_type", "num_labels", "_num_labels")


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes, rates and choices of one model. Rates are dropout probabilities.

    groups counts the layers that have weights of their own: all of them, but in ALBERT, whose layers share.
    """

    vocabulary: int
    positions: int
    segments: int
    layers: int
    heads: int
    hidden: int
    intermediate: int
    embedding: int
    groups: int
    repetitions: int
    activation: str
    epsilon: float
    hidden_dropout: float
    attention_dropout: float
    head_dropout: float
    initializer_range: float
    padding_id: int


def read_settings(family: str, config: Mapping[str, Any]) -> Settings:
    """Make the settings of a config.json; raises CheckpointLoadError for what Keras models here cannot do."""
    shape = {key: value for key, value in config.items() if key not in _NOT_FOR_THE_SHAPE}
    try:
        full = CONFIG_MAPPING[family].from_dict(shape)
    except (TypeError, ValueError) as error:
        raise CheckpointLoadError(f"config.json is not a {family} config: {error}") from error
    settings = _distilbert(full) if family == "distilbert" else _bert_like(full)
    _refuse_unsupported(config, settings)
    return settings


def _refuse_unsupported(config: Mapping[str, Any], settings: Settings) -> None:
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise CheckpointLoadError(f"position_embedding_type {positions!r} is not supported; it must be 'absolute'")
    if settings.activation not in ACTIVATIONS:
        raise CheckpointLoadError(
            f"the activation {settings.activation!r} is not supported; it must be one of {', '.join(ACTIVATIONS)}"
        )
    if settings.hidden % settings.heads or settings.layers % settings.groups:
        raise CheckpointLoadError(
            "config.json does not add up: the hidden size must be a multiple of the attention heads, "
            "and the layers one of the groups"
        )


def _bert_like(full: Any) -> Settings:
    return Settings(
        vocabulary=full.vocab_size,
        positions=full.max_position_embeddings,
        segments=full.type_vocab_size,
        layers=full.num_hidden_layers,
        heads=full.num_attention_heads,
        hidden=full.hidden_size,
        intermediate=full.intermediate_size,
        embedding=getattr(full, "embedding_size", full.hidden_size),
        groups=getattr(full, "num_hidden_groups", full.num_hidden_layers),
        repetitions=getattr(full, "inner_group_num", 1),
        activation=full.hidden_act,
        epsilon=full.layer_norm_eps,
        hidden_dropout=full.hidden_dropout_prob,
        attention_dropout=full.attention_probs_dropout_prob,
        head_dropout=_head_dropout(full),
        initializer_range=full.initializer_range,
        padding_id=full.pad_token_id or 0,
    )


def _head_dropout(full: Any) -> float:
    """ALBERT has a rate of its own; the others may have one, and else drop as their hidden layers do."""
    if hasattr(full, "classifier_dropout_prob"):
        return full.classifier_dropout_prob
    return full.hidden_dropout_prob if full.classifier_dropout is None else full.classifier_dropout


def _distilbert(full: Any) -> Settings:
    return Settings(
        vocabulary=full.vocab_size,
        positions=full.max_position_embeddings,
        segments=0,
        layers=full.n_layers,
        heads=full.n_heads,
        hidden=full.dim,
        intermediate=full.hidden_dim,
        embedding=full.dim,
        groups=full.n_layers,
        repetitions=1,
        activation=full.activation,
        # Fixed in the modeling file: the config has no key for it.
        epsilon=1e-12,
        hidden_dropout=full.dropout,
        attention_dropout=full.attention_dropout,
        head_dropout=full.seq_classif_dropout,
        initializer_range=full.initializer_range,
        padding_id=full.pad_token_id or 0,
    )
