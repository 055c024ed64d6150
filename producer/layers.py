"""Whether so many layers of a base can be kept: asked before anything is enqueued."""

from db.checkpoint import read_config
from db.layers import encoder_layers
from producer.checkpoints import BaseCheckpoint
from producer.errors import ModelError


def check_layers(base: BaseCheckpoint, wanted: int | None) -> None:
    """Raise ModelError for more layers than the base has, and where ALBERT's groups cannot share so many alike."""
    if wanted is None:
        return
    has = encoder_layers(read_config(base.directory))
    if wanted > has.total:
        raise ModelError(f"--layers {wanted}: {base.name} has {has.total} encoder layers; keep 1 to {has.total}")
    if base.facts.family == "albert" and wanted % has.groups:
        raise ModelError(
            f"--layers {wanted}: the {has.total} layers of {base.name} share {has.groups} groups of weights; "
            f"keep a multiple of {has.groups}"
        )
