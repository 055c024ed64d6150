"""An int8 graph of a float32 one, with NNCF's preset for transformers, calibrated on real reviews."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from worker.checkpoints.families import FAMILIES
from worker.checkpoints.tokenizer import Encoded
from worker.engines.cpu.variants import Variant


def quantize(folder: Path, variant: Variant, family: str, calibration: Sequence[Encoded]) -> None:
    """Write the variant's int8 graph beside float32.xml; seen whole or not at all."""
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    graph = ov.Core().read_model(folder / "float32.xml")
    inputs = [port.get_any_name() for port in graph.inputs]
    quantized = nncf.quantize(
        graph,
        nncf.Dataset([_example(one, inputs) for one in calibration]),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration),
        ignored_scope=_left_out(variant, family),
    )
    whole, partial = folder / variant.graph, folder / f".{variant.graph}"
    ov.save_model(quantized, partial, compress_to_fp16=False)
    # The weights first: a graph without them would be taken for whole.
    partial.with_suffix(".bin").rename(whole.with_suffix(".bin"))
    partial.rename(whole)


def _left_out(variant: Variant, family: str) -> "nncf.IgnoredScope":  # type: ignore[name-defined]  # noqa: F821
    import nncf

    if not variant.is_milder:
        return nncf.IgnoredScope()
    return nncf.IgnoredScope(patterns=[rf"{FAMILIES[family].down_projections}#\d+"])


def _example(one: Encoded, inputs: Sequence[str]) -> dict[str, np.ndarray]:
    values = {"token_ids": one.ids, "segment_ids": one.segment_ids, "padding_mask": np.ones_like(one.ids)}
    return {name: values[name][None] for name in inputs}
