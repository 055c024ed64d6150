"""The names of the five families."""

import re

import pytest

from worker.checkpoints.families import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_the_down_projections_are_told_from_every_other_layer(name: str) -> None:
    family = FAMILIES[name]
    tensors = [slot.tensor for slot in (*family.encoder_slots(layers=11), *family.pooler, *family.head)]
    found = {tensor for tensor in tensors if re.fullmatch(family.down_projections, tensor.rpartition(".")[0])}
    assert found == {
        f"{family.stored_place(number)}.{family.layer.down}.{part}"
        for number in range(11)
        for part in ("weight", "bias")
    }
    assert len(found) == 22
