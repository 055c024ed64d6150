"""The ONNX Runtime engine in int8: close to float32 for every family, and alone in the process that scores with it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.poison import make_poisoned_checkpoint
from tests.samples import CHECKPOINTS
from worker.checkpoints.weights import read_weights
from worker.engines.base import Batch
from worker.engines.onnx.engine import OnnxEngine
from worker.engines.onnx.graph import write_graph
from worker.errors import TokenBeyondVocabulary

FAMILIES = ["bert", "distilbert", "roberta", "xlm-roberta", "albert"]


def batch(rows: int, length: int) -> Batch:
    ids = np.random.default_rng(0).integers(5, 150, (rows, length), dtype=np.int32)
    return Batch(ids, np.zeros_like(ids), np.ones_like(ids))


def graph(directory: Path, path: Path, *, quantized: bool = True) -> Path:
    write_graph(read_weights(directory), path, lambda name: quantized)
    return path


@pytest.mark.parametrize("name", FAMILIES)
def test_int8_is_near_float32(tmp_path: Path, name: str) -> None:
    rough = OnnxEngine(graph(CHECKPOINTS / name, tmp_path / "int8.onnx")).logits(batch(40, 12))
    exact = OnnxEngine(graph(CHECKPOINTS / name, tmp_path / "float32.onnx", quantized=False)).logits(batch(40, 12))
    errors = np.abs(rough - exact)
    assert errors.max() > 1e-6  # it is quantized
    # Models this small suffer far more than real ones; a layer that is wrong leaves no likeness at all.
    assert errors.mean() < 0.1 * exact.std()
    assert rough.dtype == np.float32


def test_weights_are_stored_in_8_bits_and_loose_no_more_than_half_a_step(tmp_path: Path) -> None:
    weights = read_weights(CHECKPOINTS / "distilbert")
    stored = onnx.load(graph(CHECKPOINTS / "distilbert", tmp_path / "int8.onnx")).graph.initializer
    tensors = {one.name: onnx.numpy_helper.to_array(one) for one in stored}
    name = "transformer.layer.0.ffn.lin1"
    back = tensors[f"{name}.int8"].T * tensors[f"{name}.scale"][:, None]
    assert tensors[f"{name}.int8"].dtype == np.int8
    # Without VNNI, two products of wider weights would overflow the 16 bits that they are summed in.
    assert np.abs(tensors[f"{name}.int8"]).max() == 63
    off = np.abs(back - weights.tensors[f"distilbert.{name}.weight"])
    assert (off <= tensors[f"{name}.scale"][:, None] / 2 + 1e-7).all()


def test_what_stands_in_the_padding_changes_nothing(tmp_path: Path) -> None:
    engine = OnnxEngine(graph(CHECKPOINTS / "bert", tmp_path / "float32.onnx", quantized=False))
    one = batch(3, 9)
    one.padding_mask[1, 4:] = 0
    before = engine.logits(one)
    one.token_ids[1, 4:] = 7
    np.testing.assert_allclose(engine.logits(one), before, atol=1e-6)


def test_scoring_needs_no_other_library(tmp_path: Path) -> None:
    path = graph(CHECKPOINTS / "bert", tmp_path / "int8.onnx")
    program = (
        "import sys, pathlib, numpy as np\n"
        "import worker.process, worker.models, worker.engines.choose\n"
        "from worker.engines.base import Batch\n"
        "from worker.engines.cpu.variants import open_variant, variant_named\n"
        "ids = np.ones((2, 5), np.int32)\n"
        "engine = open_variant(variant_named('int8-dynamic'), pathlib.Path(sys.argv[1]))\n"
        "print(engine.logits(Batch(ids, ids * 0, ids)).shape)\n"
        "heavy = ('tensorflow', 'keras', 'transformers', 'torch', 'nncf', 'openvino', 'onnx')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(2, 3)", "[]"]
    assert done.stderr == ""


def test_a_token_without_an_embedding_is_told(tmp_path: Path) -> None:
    directory = make_poisoned_checkpoint(tmp_path / "poisoned")
    words = json.loads((directory / "config.json").read_text())["vocab_size"]
    engine = OnnxEngine(graph(directory, tmp_path / "int8.onnx"))
    bad = batch(2, 4)
    bad.token_ids[1, 2] = words
    with pytest.raises(TokenBeyondVocabulary, match=f"token {words} has no embedding: the model knows {words} tokens"):
        engine.logits(bad)


def test_a_batch_without_room_is_a_memory_error(tmp_path: Path) -> None:
    path = graph(CHECKPOINTS / "bert", tmp_path / "int8.onnx")
    program = (
        "import sys, resource, pathlib, numpy as np\n"
        "from worker.engines.base import Batch\n"
        "from worker.engines.onnx.engine import OnnxEngine\n"
        "engine = OnnxEngine(pathlib.Path(sys.argv[1]))\n"
        "ids = np.ones((60_000, 64), np.int32)\n"
        "batch = Batch(ids, ids * 0, ids)\n"
        "engine.logits(Batch(ids[:2], ids[:2], ids[:2]))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n"
        "try:\n"
        "    engine.logits(batch)\n"
        "except MemoryError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "no memory for 3,840,000 tokens in one batch\n"), done.stderr
