"""How many encoder layers a checkpoint has, as its config.json tells it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

#: The names that the five families give the number of layers; DistilBERT's own comes first.
LAYER_KEYS = ("n_layers", "num_hidden_layers")

#: What the config classes of transformers assume where nothing is said.
_DEFAULT_LAYERS, _DISTILBERTS_DEFAULT = 12, 6


class EncoderLayers(NamedTuple):
    """So many layers, and how many of them have weights of their own: all, but in ALBERT, whose layers share."""

    total: int
    groups: int


def encoder_layers(config: Mapping[str, Any]) -> EncoderLayers:
    """Read the numbers from the config of a checkpoint that is known to be whole."""
    family = config["model_type"]
    default = _DISTILBERTS_DEFAULT if family == "distilbert" else _DEFAULT_LAYERS
    total = next((int(config[key]) for key in LAYER_KEYS if key in config), default)
    return EncoderLayers(total, int(config.get("num_hidden_groups", 1)) if family == "albert" else total)
