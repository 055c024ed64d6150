"""A model of fewer layers, made of some of those of a larger one: where a student starts."""

from dataclasses import replace

from worker.checkpoints.weights import Tensors, Weights
from worker.errors import CheckpointLoadError


def kept_layers(total: int, wanted: int) -> list[int]:
    """Which layers stay, counted from 0: spread evenly, the first and the last among them.

    Of twelve the six 0, 2, 4, 7, 9 and 11, as DistilBERT starts from one layer in two of BERT (section 3 of Sanh et
    al., DistilBERT, a distilled version of BERT, 2019, and the script that made it).
    """
    return [round(at * (total - 1) / max(1, wanted - 1)) for at in range(wanted)]


def keep_layers(weights: Weights, wanted: int) -> Weights:
    """The weights of the model that has so many of the encoder's layers; embeddings, pooler and head are all kept.

    ALBERT's layers share their weights: none is lost, and each group of them is passed through fewer times. Raises
    CheckpointLoadError for more layers than there are, or where ALBERT's groups do not divide them.
    """
    settings = weights.settings
    if wanted > settings.layers:
        raise CheckpointLoadError(f"it has {settings.layers} layers, of which {wanted} cannot be kept")
    if weights.facts.family == "albert":
        if wanted % settings.groups:
            raise CheckpointLoadError(f"its {settings.groups} groups cannot share {wanted} layers alike")
        return replace(weights, settings=replace(settings, layers=wanted))
    tensors = _moved(weights, kept_layers(settings.layers, wanted))
    return replace(weights, settings=replace(settings, layers=wanted, groups=wanted), tensors=tensors)


def _moved(weights: Weights, kept: list[int]) -> Tensors:
    """The tensors without those of other layers, and those of the kept ones under the names of their new places."""
    old_places = [f"{weights.prefix}{weights.family.stored_place(at)}." for at in range(weights.settings.layers)]
    new_places = {old_places[old]: old_places[new] for new, old in enumerate(kept)}
    tensors = {}
    for name, tensor in weights.tensors.items():
        place = next((place for place in old_places if name.startswith(place)), None)
        if place is None:
            tensors[name] = tensor
        elif place in new_places:
            tensors[new_places[place] + name.removeprefix(place)] = tensor
    return tensors
