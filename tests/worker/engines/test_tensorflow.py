"""The TensorFlow engine traces once, whatever the shapes, and the room stays light and quiet."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engines.base import Batch, Engine
from worker.engines.tensorflow import TensorFlowEngine, bucketed
from worker.probabilities import probabilities

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def batch(rows: int, length: int) -> Batch:
    ids = np.random.default_rng(0).integers(5, 300, (rows, length), dtype=np.int32)
    return Batch(ids, np.zeros_like(ids), np.ones_like(ids))


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "albert"])
def test_one_trace_for_every_shape(name: str) -> None:
    engine = TensorFlowEngine(CHECKPOINTS / name)
    for rows, length in ((1, 1), (1, 7), (5, 7), (2, 64), (32, 16)):
        logits = engine.logits(batch(rows, length))
        assert logits.shape == (rows, len(engine.labels))
        assert logits.dtype == np.float32
    assert engine.traces == 1


def test_is_an_engine() -> None:
    engine: Engine = TensorFlowEngine(CHECKPOINTS / "bert")
    rows = engine.logits(batch(3, 5))
    np.testing.assert_allclose(rows[:1], engine.logits(batch(1, 5)), atol=1e-5)


def test_bfloat16_is_near_float32_and_not_the_same() -> None:
    float32, bfloat16 = (TensorFlowEngine(CHECKPOINTS / "bert", name) for name in ("float32", "bfloat16"))
    exact, rough = (engine.logits(batch(8, 20)) for engine in (float32, bfloat16))
    assert rough.dtype == np.float32
    exact_values, rough_values = (probabilities(one, "single_label_classification") for one in (exact, rough))
    # Eight bits of mantissa are worth about 0.004 at each of the few steps that add up.
    assert 1e-5 < np.abs(rough_values - exact_values).max() < 0.02
    # The next model is built in float32 again.
    np.testing.assert_array_equal(TensorFlowEngine(CHECKPOINTS / "bert").logits(batch(8, 20)), exact)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_what_xla_compiles_says_the_same_of_batches_of_all_shapes(name: str) -> None:
    plain, compiled = (TensorFlowEngine(CHECKPOINTS / name, compiled=one) for one in (False, True))
    for rows, length in ((1, 1), (3, 7), (5, 30), (9, 17)):
        some = batch(rows, length)
        np.testing.assert_allclose(compiled.logits(some), plain.logits(some), atol=1e-4)


def test_only_a_gpu_has_batches_compiled() -> None:
    seen: list[tuple[int, ...]] = []
    engine = TensorFlowEngine(CHECKPOINTS / "bert")
    run = engine._run
    engine._run = lambda *parts: seen.append(parts[0].shape) or run(*parts)
    engine.logits(batch(3, 7))
    assert seen == [(3, 7)]


@given(st.integers(1, 600), st.integers(1, 512))
def test_few_shapes_with_little_padding(rows: int, tokens: int) -> None:
    ids = np.ones((rows, tokens), np.int32)
    padded = bucketed(Batch(ids, ids, ids), 512)
    high, wide = padded.token_ids.shape
    assert high - rows < max(4, high / 5)
    assert wide - tokens < max(8, wide / 5)
    assert padded.padding_mask.sum() == padded.token_ids.sum() == rows * tokens
    assert padded.padding_mask[:rows, :tokens].all()


def test_no_row_is_longer_than_the_model_has_positions() -> None:
    ids = np.ones((1, 57), np.int32)
    assert [bucketed(Batch(ids, ids, ids), most).token_ids.shape for most in (60, 512)] == [(4, 60), (4, 64)]


def test_shapes_are_few() -> None:
    widths, heights = (
        {bucketed(Batch(*[np.ones(shape, np.int32)] * 3), 512).token_ids.shape[at] for shape in shapes}
        for at, shapes in ((1, [(1, n) for n in range(1, 513)]), (0, [(n, 1) for n in range(1, 257)]))
    )
    assert len(widths) <= 24
    assert len(heights) <= 24


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("module", ["worker.engines.base", "worker.probabilities", "worker.errors"])
def test_light_modules_import_no_machine_learning_library(module: str) -> None:
    heavy = ("tensorflow", "keras", "keras_hub", "transformers", "openvino", "torch")
    done = run(f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])")
    assert done.stdout.strip() == "[]"


def test_scoring_says_nothing_on_standard_error() -> None:
    program = (
        "import pathlib, numpy as np\n"
        "from worker.engines.base import Batch\n"
        "from worker.engines.tensorflow import TensorFlowEngine\n"
        "ones = np.ones((2, 3), np.int32)\n"
        f"engine = TensorFlowEngine(pathlib.Path({str(CHECKPOINTS / 'bert')!r}))\n"
        "print(engine.logits(Batch(ones, ones * 0, ones)).shape)\n"
    )
    done = run(program)
    assert done.stdout.strip() == "(2, 3)"
    assert done.stderr == ""


def test_keras_runs_on_tensorflow_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert run("from worker.backend import keras; print(keras.config.backend())").stdout.strip() == "tensorflow"
