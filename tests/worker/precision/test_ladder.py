"""The ladder takes the boldest variant that says what float32 says, and none that is no faster."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from db.checkpoint import read_checkpoint_facts
from tests.samples import CHECKPOINTS
from worker.checkpoints.weights import read_weights
from worker.engines.cpu.artefacts import Artefacts, build_artefacts
from worker.engines.cpu.variants import EVERY_RUNG, candidates
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.openvino.graph import build_graph
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
        "checkpoint": str(CHECKPOINTS / "bert"),
        "digest": read_checkpoint_facts(CHECKPOINTS / "bert").digest,
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
    import openvino as ov

    changed = read_weights(changed_checkpoint(factor, tmp_path / f"changed-{name}"))
    ov.save_model(build_graph(changed), built.graph(name), compress_to_fp16=False)


def changed_checkpoint(factor: float, directory: Path) -> Path:
    shutil.copytree(CHECKPOINTS / "bert", directory)
    tensors = load_file(directory / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.weight"] * np.float32(factor)
    save_file(tensors, directory / "model.safetensors")
    return directory


def test_a_broken_int8_model_is_refused_and_the_next_that_is_right_serves(
    built: Artefacts, tmp_path: Path, any_speed: None
) -> None:
    plant(built, "int8", -1.0, tmp_path)
    plant(built, "int8-but-down-projections", 1.0, tmp_path)
    rungs = walk_down(request(built, EVERY_RUNG))
    assert [rung.precision for rung in rungs] == ["int8", "int8-but-down-projections"]
    assert "sure labels change" in str(rungs[0].refused)
    assert rungs[1].refused is None
    # What is planted is computed in float32, or in bfloat16 where the CPU can.
    assert rungs[1].figures["mean_drift"] < 0.005  # type: ignore[operator]


def test_accuracy_on_known_labels_is_held_too(built: Artefacts, tmp_path: Path, any_speed: None) -> None:
    plant(built, "int8", 1.0, tmp_path)
    lax = {"sure_flips": 1.0, "mean_drift": 1.0, "p99_drift": 1.0}
    float32 = OpenVINOEngine(built.graph("float32"))
    plain = request(built, ["int8"], limits=lax)
    sample = ladder._Sample(plain, ladder.read_tokenizer(built.folder), float32)
    said = sample.expected.argmax(axis=1)
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
    refused = {rung.precision: str(rung.refused) for rung in rungs}
    assert "it is no faster here" in refused["int8"]
    assert "it is no faster here" in refused["int8-but-down-projections"]


def gain(monkeypatch: pytest.MonkeyPatch, of_int8: float) -> None:
    """Let this CPU be so much faster, or slower, at OpenVINO's 8-bit products than at those of float32."""
    monkeypatch.setattr(ladder, "measure_peak", lambda name, seconds: {"int8": of_int8, "float32": 1.0}[name])


def test_where_8_bit_products_gain_nothing_dynamic_int8_is_tried(
    built: Artefacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain(monkeypatch, 0.9)
    monkeypatch.setattr(ladder, "compute_formats", lambda: ["float32", "int8"])
    rungs = walk_down(request(built, EVERY_RUNG, limits={"sure_flips": 1.0, "mean_drift": 1.0, "p99_drift": 1.0}))
    assert not built.graph("int8").exists()
    slow = "not tried: OpenVINO's 8-bit products are no faster on this CPU, 0.90 times those of float32"
    assert [(rung.refused, rung.reviews_per_second) for rung in rungs[:2]] == [(slow, None)] * 2
    assert rungs[2].precision == "int8-dynamic"
    assert built.graph("int8-dynamic").exists()
    assert rungs[2].figures["texts"] == len(TEXTS)
    assert 0 < rungs[2].figures["mean_drift"] < 0.1  # type: ignore[operator]
    assert rungs[-1].refused is None


def test_dynamic_int8_that_says_something_else_is_refused(
    built: Artefacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain(monkeypatch, 0.9)
    monkeypatch.setattr(ladder, "compute_formats", lambda: ["float32", "int8"])
    monkeypatch.setattr(ladder, "_WORTH_IT", 0.0)
    directory = changed_checkpoint(-1.0, tmp_path / "wrong")
    digest = read_checkpoint_facts(directory).digest
    wrong = request(built, EVERY_RUNG, checkpoint=str(directory), digest=digest)
    *_, refused, milder, served = walk_down(wrong)
    assert (refused.precision, milder.precision) == ("int8-dynamic", "int8-dynamic-but-down")
    assert "sure labels change" in str(refused.refused)
    assert "sure labels change" in str(milder.refused)
    assert served.precision == "float32"


def test_files_that_are_no_longer_those_registered_are_not_built_of(built: Artefacts) -> None:
    with pytest.raises(ValueError, match="are no longer those that were registered"):
        walk_down(request(built, ["int8-dynamic"], digest="d" * 64))
    assert not built.graph("int8-dynamic").exists()


def test_the_milder_dynamic_int8_leaves_the_down_projections_out(
    built: Artefacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    for name in ("int8-dynamic", "int8-dynamic-but-down"):
        walk_down(request(built, [name]))
    stored = {
        name: {one.name for one in onnx.load(built.graph(name)).graph.initializer if one.name.endswith(".int8")}
        for name in ("int8-dynamic", "int8-dynamic-but-down")
    }
    down = {f"encoder.layer.{number}.output.dense.int8" for number in range(2)}
    assert stored["int8-dynamic"] - stored["int8-dynamic-but-down"] == down
    assert len(stored["int8-dynamic"]) == 2 * 6


def test_dynamic_int8_gives_way_to_bfloat16(built: Artefacts, monkeypatch: pytest.MonkeyPatch) -> None:
    gain(monkeypatch, 0.9)
    monkeypatch.setattr(ladder, "compute_formats", lambda: ["float32", "int8", "bfloat16"])
    rungs = {rung.precision: rung for rung in walk_down(request(built, EVERY_RUNG))}
    assert "bfloat16, which is closer to float32" in str(rungs["int8-dynamic"].refused)
    assert not built.graph("int8-dynamic").exists()
    assert rungs["bfloat16"].figures["texts"] == len(TEXTS)


@pytest.mark.parametrize(("of_int8", "served"), [(2.0, "int8"), (0.9, "int8-dynamic")])
def test_int8_that_is_ordered_is_the_faster_of_two(
    built: Artefacts, monkeypatch: pytest.MonkeyPatch, of_int8: float, served: str
) -> None:
    gain(monkeypatch, of_int8)
    monkeypatch.setattr(ladder, "_WORTH_IT", 1e9)  # no faster, and yet: it was ordered
    monkeypatch.setattr(ladder, "compute_formats", lambda: ["float32", "int8"])
    rungs = walk_down(request(built, candidates("int8", "auto")))
    assert rungs[-1].precision == served
    assert rungs[-1].figures["texts"] == len(TEXTS)


def test_an_order_is_quantized_whatever_the_cpu_gains(built: Artefacts, monkeypatch: pytest.MonkeyPatch) -> None:
    gain(monkeypatch, 0.9)
    (rung,) = walk_down(request(built, candidates("int8", "openvino")))
    assert built.graph("int8").exists()
    assert rung.figures["texts"] == len(TEXTS)


def test_quantizing_leaves_the_down_projections_out_where_told(built: Artefacts) -> None:
    import openvino as ov

    for name in ("int8", "int8-but-down-projections"):
        walk_down(request(built, [name]))
    counts = {}
    for name in ("float32", "int8", "int8-but-down-projections"):
        graph = ov.Core().read_model(built.graph(name))
        products = [node for node in graph.get_ops() if ".output.dense#" in node.get_friendly_name()]
        in_int8 = [one for one in products if one.input_value(0).get_node().get_type_name() == "FakeQuantize"]
        of_attention = sum("attention" in one.get_friendly_name() for one in in_int8)
        counts[name] = {"attention": of_attention, "down": len(in_int8) - of_attention}
    assert counts["float32"] == {"attention": 0, "down": 0}
    assert counts["int8"] == {"attention": 2, "down": 2}
    assert counts["int8-but-down-projections"] == {"attention": 2, "down": 0}
