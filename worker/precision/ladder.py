"""Down the ladder: `python -m worker.precision.ladder REQUEST ANSWER` finds the first variant that the guard lets pass.

A process of its own, started by worker.precision.choose: quantizing needs libraries and memory that scoring does not.
REQUEST and ANSWER are JSON files: a Request, and a list of Rungs, the last of which is the one to serve in.
"""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from statistics import median

import numpy as np

from worker.batching import infer_in_batches
from worker.checkpoints.families import FAMILIES
from worker.checkpoints.tokenizer import Encoded, Tokenizer, read_tokenizer, tokenize
from worker.engines.base import Engine
from worker.engines.cpu.variants import FLOAT32, LADDER, ONNX, Variant, open_variant
from worker.engines.openvino.engine import compute_formats
from worker.engines.openvino.peak import measure_peak
from worker.engines.openvino.quantize import quantize
from worker.precision.guard import Limits, accuracy_drop, compare
from worker.probabilities import probabilities

#: A lower precision that is not faster than float32 by this factor is not worth any drift.
_WORTH_IT = 1.05
#: Nor is quantizing worth its minutes where the CPU's 8-bit products are not faster by this one: of a whole model they
#: are but a part.
_WORTH_QUANTIZING = 1.2
_PEAK_SECONDS = 0.5
#: Every engine infers so many of the texts so often; the medians are compared.
_TIMED_TEXTS, _ROUNDS = 150, 3

Text = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to compare on: the checkpoint, which must have that digest, its artefacts' folder, and texts.

    `known` are the indices of the right labels of `labelled`, [len(labelled)].

    Only texts that have one right label are labelled.
    """

    checkpoint: str
    digest: str
    folder: str
    family: str
    problem_type: str
    max_tokens: int
    token_budget: int
    texts: list[Text]
    calibration: list[Text]
    labelled: list[Text]
    known: list[int]
    limits: dict[str, float]
    names: list[str]


@dataclass(frozen=True, slots=True)
class Rung:
    """How one variant did. `refused` is why it may not serve, None where it may; `speedup` is over float32.

    One that was not worth trying has no pace, and its speedup is that of a product of matrices.
    """

    precision: str
    refused: str | None
    reviews_per_second: float | None
    speedup: float
    figures: dict[str, float | int | None]


class _Sample:
    """Reviews to compare on, tokenized, and what float32 says of them."""

    def __init__(self, request: Request, tokenizer: Tokenizer, float32: Engine) -> None:
        self.float32 = float32
        self.problem_type = request.problem_type
        self._padding_id = tokenizer.pad_token_id
        self._token_budget = request.token_budget
        self.texts = _encode(tokenizer, request.texts, request.max_tokens)
        self.labelled = _encode(tokenizer, request.labelled, request.max_tokens)

    @cached_property
    def expected(self) -> np.ndarray:
        """What float32 says of the texts, [texts, classes]."""
        return self.values(self.float32, self.texts)[0]

    @cached_property
    def expected_of_labelled(self) -> np.ndarray:
        """What float32 says of the labelled ones, [labelled, classes]."""
        return self.values(self.float32, self.labelled)[0]

    def seconds(self, engine: Engine) -> float:
        """How long a part of the texts takes."""
        return self.values(engine, self.texts[:_TIMED_TEXTS])[1]

    def values(self, engine: Engine, encoded: Sequence[Encoded]) -> tuple[np.ndarray, float]:
        """Probabilities [reviews, classes], and the seconds that inferring them took."""
        began = time.perf_counter()
        logits = infer_in_batches(engine, encoded, self._padding_id, self._token_budget, lambda: None)
        took_s = time.perf_counter() - began
        return probabilities(logits, self.problem_type), took_s


def walk_down(request: Request) -> list[Rung]:
    """Try the variants that are named, from the boldest, until one passes. Named too, float32 is the last resort.

    Where it is not named, the first that is worth trying serves, whatever the guard says.
    """
    folder = Path(request.folder)
    sample = _Sample(request, read_tokenizer(folder), open_variant(FLOAT32, folder / FLOAT32.graph))
    is_ordered = FLOAT32.name not in request.names
    rungs: list[Rung] = []
    for variant, reason in _to_try(request):
        if reason is not None:
            rungs.append(reason)
            continue
        rungs.append(_judge(request, sample, _open(request, variant), variant.name))
        if is_ordered or rungs[-1].refused is None:
            return rungs
    if not is_ordered:
        seconds = [sample.seconds(sample.float32) for _ in range(_ROUNDS)]
        rungs.append(Rung(FLOAT32.name, None, _speed(sample, seconds), 1.0, {}))
    return rungs


def _to_try(request: Request) -> Iterator[tuple[Variant, Rung | None]]:
    """The variants that are named and that this CPU can compute; with a rung where one is not worth trying."""
    formats = compute_formats()
    named = [one for one in LADDER if one.name in request.names and one.needs in formats]
    # With one alone there is nothing to choose.
    gain = _gain_of_int8() if len(request.names) > 1 and "int8" in formats else inf
    has_bfloat16 = any(one.needs == "bfloat16" for one in named)
    for variant in named:
        if variant.needs == "int8" and gain < _WORTH_QUANTIZING:
            slow = f"OpenVINO's 8-bit products are no faster on this CPU, {gain:.2f} times those of float32"
            yield variant, _not_tried(variant, slow, gain)
        elif variant.runtime == ONNX and has_bfloat16:
            yield variant, _not_tried(variant, "bfloat16, which is closer to float32, is as fast on this CPU", 1.0)
        else:
            yield variant, None


def _gain_of_int8() -> float:
    """How much faster this CPU is at OpenVINO's 8-bit products than at those of float32."""
    return measure_peak("int8", _PEAK_SECONDS) / measure_peak("float32", _PEAK_SECONDS)


def _not_tried(variant: Variant, why: str, speedup: float) -> Rung:
    return Rung(variant.name, f"not tried: {why}", None, round(speedup, 3), {})


def _open(request: Request, variant: Variant) -> Engine:
    folder = Path(request.folder)
    graph = folder / variant.graph
    if not graph.exists():
        _build(request, variant, graph)
    return open_variant(variant, graph)


def _build(request: Request, variant: Variant, graph: Path) -> None:
    if variant.runtime == ONNX:
        from worker.checkpoints.weights import read_weights
        from worker.engines.onnx.graph import write_graph

        left_out = FAMILIES[request.family].down_projections if variant.is_milder else "nothing"
        weights = read_weights(Path(request.checkpoint))
        if weights.facts.digest != request.digest:
            raise ValueError(f"the files in {request.checkpoint} are no longer those that were registered")
        write_graph(weights, graph, lambda name: not re.fullmatch(left_out, name))
        return
    encoded = _encode(read_tokenizer(graph.parent), request.calibration, request.max_tokens)
    quantize(graph.parent, variant, request.family, encoded)


def _judge(request: Request, sample: _Sample, engine: Engine, name: str) -> Rung:
    candidate, _ = sample.values(engine, sample.texts)
    rounds = [(sample.seconds(sample.float32), sample.seconds(engine)) for _ in range(_ROUNDS)]
    speedup = median(slow / fast for slow, fast in rounds)
    limits = Limits(**request.limits)
    one = compare(sample.expected, candidate, sample.problem_type, limits, _accuracy_drop(request, sample, engine))
    refused = one.objection(limits)
    if refused is None and speedup < _WORTH_IT:
        refused = f"it is no faster here: {speedup:.2f} times float32"
    return Rung(name, refused, _speed(sample, [fast for _, fast in rounds]), round(speedup, 3), asdict(one))


def _accuracy_drop(request: Request, sample: _Sample, engine: Engine) -> float | None:
    if not request.known:
        return None
    candidate, _ = sample.values(engine, sample.labelled)
    return accuracy_drop(sample.expected_of_labelled, candidate, np.array(request.known))


def _speed(sample: _Sample, seconds: Sequence[float]) -> float:
    """Reviews a second."""
    return round(len(sample.texts[:_TIMED_TEXTS]) / median(seconds), 1)


def _encode(tokenizer: Tokenizer, texts: Sequence[Text], max_tokens: int) -> list[Encoded]:
    if not texts:
        return []
    return tokenize(tokenizer, [text for text, _ in texts], [pair for _, pair in texts], max_tokens)


if __name__ == "__main__":
    asked = Request(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    answer = [asdict(rung) for rung in walk_down(asked)]
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")
