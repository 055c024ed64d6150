"""The ladder takes the boldest variant that says what float32 says, and none that is no faster."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from db.checkpoint import read_checkpoint_facts
from tests.samples import CHECKPOINTS
from worker.checkpoints.weights import read_weights
from worker.engines.openvino.artefacts import Artefacts, build_artefacts
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.openvino.graph import build_graph
from worker.engines.openvino.variants import EVERY_RUNG
from worker.precision import ladder
from worker.precision.ladder import Request, Text, walk_down

TEXTS: list[Text] = [
    (f"{feeling} film number {number}, the price {price}", None)
    for number in range(30)
    for feeling, price in (("wonderful", "terrible"), ("terrible", "fine"), ("dull", "wonderful"))
]


@pytest.fixture
def built(tmp_path: Path) -> Artefacts:
    directory = CHECKPOINTS / "bert"
    return build_artefacts(tmp_path, directory, read_checkpoint_facts(directory).digest)


@pytest.fixture
def any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models as small as those of the tests gain nothing by int8, and this CPU perhaps with none."""
    monkeypatch.setattr(ladder, "_WORTH_IT", 0.0)
    monkeypatch.setattr(ladder, "_WORTH_QUANTIZING", 0.0)


def request(built: Artefacts, names: list[str], **changes: object) -> Request:
    whole = {
        "folder": str(built.folder),
        "family": "bert",
        "problem_type": "single_label_classification",
        "max_tokens": 64,
        "token_budget": 512,
        "texts": TEXTS,
        "calibration": TEXTS[:40],
        "labelled": [],
        "known": [],
        "limits": {},
        "names": names,
    }
    return Request(**{**whole, **changes})  # type: ignore[arg-type]


def plant(built: Artefacts, name: str, factor: float, tmp_path: Path) -> None:
    """Put in the place of a quantized graph one whose classifier is multiplied by a factor."""
    directory = tmp_path / f"changed-{name}"
    shutil.copytree(CHECKPOINTS / "bert", directory)
    tensors = load_file(directory / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.weight"] * np.float32(factor)
    save_file(tensors, directory / "model.safetensors")
    import openvino as ov

    ov.save_model(build_graph(read_weights(directory)), built.graph(name), compress_to_fp16=False)


def test_a_broken_int8_model_is_refused_and_the_next_that_is_right_serves(
    built: Artefacts, tmp_path: Path, any_speed: None
) -> None:
    plant(built, "int8", -1.0, tmp_path)
    plant(built, "int8-but-down-projections", 1.0, tmp_path)
    rungs = walk_down(request(built, EVERY_RUNG))
    assert [rung.precision for rung in rungs] == ["int8", "int8-but-down-projections"]
    assert "sure labels change" in str(rungs[0].refused)
    assert rungs[1].refused is None
    assert rungs[1].figures["mean_drift"] == 0.0


def test_accuracy_on_known_labels_is_held_too(built: Artefacts, tmp_path: Path, any_speed: None) -> None:
    plant(built, "int8", 1.0, tmp_path)
    lax = {"sure_flips": 1.0, "mean_drift": 1.0, "p99_drift": 1.0}
    float32 = OpenVINOEngine(built.graph("float32"))
    plain = request(built, ["int8"], limits=lax)
    sample = ladder._Sample(plain, ladder.read_tokenizer(built.folder))
    said = sample.values(float32, sample.texts)[0].argmax(axis=1)
    labelled = request(built, ["int8"], limits=lax, labelled=TEXTS, known=said.tolist())
    (right,) = walk_down(labelled)
    assert (right.refused, right.figures["accuracy_drop"]) == (None, 0.0)
    plant(built, "int8", -1.0, tmp_path / "again")
    (wrong,) = walk_down(labelled)
    assert "accuracy falls by" in str(wrong.refused)


def test_the_same_numbers_no_faster_are_not_worth_it(
    built: Artefacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "_WORTH_IT", 1e9)
    monkeypatch.setattr(ladder, "_WORTH_QUANTIZING", 0.0)
    plant(built, "int8", 1.0, tmp_path)
    plant(built, "int8-but-down-projections", 1.0, tmp_path)
    rungs = walk_down(request(built, EVERY_RUNG))
    assert rungs[-1].precision == "float32"
    assert all("it is no faster here" in str(rung.refused) for rung in rungs if rung.precision.startswith("int8"))


def test_nothing_is_quantized_where_the_cpu_gains_nothing_by_it(
    built: Artefacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "measure_peak", lambda name, seconds: {"int8": 9.0, "float32": 10.0}[name])
    rungs = walk_down(request(built, EVERY_RUNG))
    assert not built.graph("int8").exists()
    eight_bit = [rung for rung in rungs if rung.precision.startswith("int8")]
    assert [(rung.refused, rung.reviews_per_second) for rung in eight_bit] == [
        ("not tried: 8-bit products are no faster on this CPU, 0.90 times those of float32", None)
    ] * 2
    assert rungs[-1].refused is None


def test_an_order_is_quantized_whatever_the_cpu_gains(built: Artefacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "measure_peak", lambda name, seconds: {"int8": 9.0, "float32": 10.0}[name])
    (rung,) = walk_down(request(built, ["int8"]))
    assert built.graph("int8").exists()
    assert rung.figures["texts"] == len(TEXTS)


def test_quantizing_leaves_the_down_projections_out_where_told(built: Artefacts) -> None:
    import openvino as ov

    walk_down(request(built, ["int8", "int8-but-down-projections"]))
    counts = {}
    for name in ("float32", "int8", "int8-but-down-projections"):
        graph = ov.Core().read_model(built.graph(name))
        down = [node for node in graph.get_ops() if ".output.dense#" in node.get_friendly_name()]
        down = [node for node in down if "attention" not in node.get_friendly_name()]
        counts[name] = (
            sum(node.get_type_name() == "FakeQuantize" for node in graph.get_ops()),
            sum(node.input_value(0).get_node().get_type_name() == "FakeQuantize" for node in down),
        )
    assert counts["float32"] == (0, 0)
    assert counts["int8"][1] == 2
    assert counts["int8-but-down-projections"][1] == 0
    assert 0 < counts["int8-but-down-projections"][0] < counts["int8"][0]
