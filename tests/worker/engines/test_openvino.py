"""What the OpenVINO engine is built of is built once, whole, and by another process; scoring then needs no more."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from db.checkpoint import read_checkpoint_facts
from tests.poison import make_poisoned_checkpoint
from tests.samples import CHECKPOINTS
from worker.batching import collate
from worker.checkpoints.tokenizer import load_tokenizer, read_tokenizer, tokenize
from worker.checkpoints.weights import read_weights
from worker.engines.base import Batch, Engine
from worker.engines.cpu import artefacts
from worker.engines.cpu.artefacts import build_artefacts
from worker.engines.openvino.engine import OpenVINOEngine
from worker.engines.openvino.graph import build_graph
from worker.errors import CheckpointLoadError, EngineBuildError, TokenBeyondVocabulary

TEXTS = ["A wonderful film.", "caf\u00e9 \u2603 " * 40, "the price, terrible!"]
PAIRS = [None, "and a pair", None]


def batch(rows: int, length: int, seed: int = 0) -> Batch:
    ids = np.random.default_rng(seed).integers(5, 150, (rows, length), dtype=np.int32)
    return Batch(ids, np.zeros_like(ids), np.ones_like(ids))


def build(engines: Path, directory: Path) -> artefacts.Artefacts:
    return build_artefacts(engines, directory, read_checkpoint_facts(directory).digest)


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "xlm-roberta", "albert"])
def test_what_is_built_scores_as_the_checkpoint_does(tmp_path: Path, name: str) -> None:
    built = build(tmp_path, CHECKPOINTS / name)
    stored, own = read_tokenizer(built.folder), load_tokenizer(CHECKPOINTS / name)
    for side in ("left", "right"):
        for one in (stored, own):
            object.__setattr__(one, "truncation_side", side)
        pairs = zip(tokenize(stored, TEXTS, PAIRS, 30), tokenize(own, TEXTS, PAIRS, 30), strict=True)
        for ours, theirs in pairs:
            assert (ours.ids.tolist(), ours.segment_ids.tolist()) == (theirs.ids.tolist(), theirs.segment_ids.tolist())
            assert ours.truncated == theirs.truncated
    assert (stored.pad_token_id, stored.has_segments) == (own.pad_token_id, own.has_segments)
    engine: Engine = OpenVINOEngine(built.graph("float32"))
    direct = OpenVINOEngine(build_graph(read_weights(CHECKPOINTS / name)))
    for shape in ((1, 1), (5, 7), (32, 16)):
        logits = engine.logits(batch(*shape))
        assert logits.dtype == np.float32
        np.testing.assert_array_equal(logits, direct.logits(batch(*shape)))
    encoded = tokenize(stored, TEXTS, PAIRS, 30)
    fitting, padded = (engine.logits(collate(encoded, stored.pad_token_id, shape)) for shape in (None, (5, 36)))
    np.testing.assert_allclose(padded[: len(TEXTS)], fitting, atol=1e-5)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_batches_that_are_computed_at_once_get_their_own_logits(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(cores)))
    engine = OpenVINOEngine(build_graph(read_weights(CHECKPOINTS / "bert")))
    assert engine.streams == cores
    batches = [batch(rows, length, seed=rows) for rows in range(1, 8) for length in (3, 9, 20)]
    alone = [engine.logits(one) for one in batches]
    # More at once than there are requests, and ended in another order than begun.
    started = [engine.start(one) for one in batches]
    for logits, expected in zip(reversed(started), reversed(alone), strict=True):
        np.testing.assert_allclose(logits(), expected, atol=1e-6)


def test_threads_that_share_an_engine_get_their_own_logits() -> None:
    engine = OpenVINOEngine(build_graph(read_weights(CHECKPOINTS / "bert")))
    batches = [batch(rows, length, seed=rows) for rows in range(1, 8) for length in (3, 9, 20)]
    alone = [engine.logits(one) for one in batches]

    def run(first: int) -> None:
        for _ in range(10):
            order = [*range(first, len(batches)), *range(first)]
            started = [(at, engine.start(batches[at])) for at in order]
            for at, logits in started:
                np.testing.assert_allclose(logits(), alone[at], atol=1e-6)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, (0, 7, 14)))


def test_logits_are_the_callers_to_keep(tmp_path: Path) -> None:
    engine = OpenVINOEngine(build_graph(read_weights(CHECKPOINTS / "bert")))
    first = engine.logits(batch(3, 5))
    kept = first.copy()
    engine.logits(batch(4, 9))
    np.testing.assert_array_equal(first, kept)


def test_many_workers_that_start_together_build_once(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from worker.logs import log_to_stderr\n"
        "from worker.engines.cpu.artefacts import build_artefacts\n"
        "log_to_stderr()\n"
        "print(build_artefacts(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), 'd' * 64).folder)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(CHECKPOINTS / "bert")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said
    assert len({folder for folder, _ in said}) == 1
    assert sum("engine_building" in log for _, log in said) == 1


def test_scoring_needs_no_other_library(tmp_path: Path) -> None:
    built = build(tmp_path, CHECKPOINTS / "bert")
    program = (
        "import sys, pathlib, numpy as np\n"
        "import worker.process, worker.models, worker.engines.choose\n"
        "from worker.checkpoints.tokenizer import read_tokenizer, tokenize\n"
        "from worker.engines.openvino.engine import OpenVINOEngine\n"
        "from worker.batching import collate\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "tokenizer = read_tokenizer(folder)\n"
        "encoded = tokenize(tokenizer, ['a film', 'a long film'], None, 32)\n"
        "print(OpenVINOEngine(folder / 'float32.xml').logits(collate(encoded, tokenizer.pad_token_id)).shape)\n"
        "heavy = ('tensorflow', 'keras', 'keras_hub', 'transformers', 'torch', 'nncf')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program, str(built.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(2, 3)", "[]"]
    assert done.stderr == ""


def test_nothing_is_told_to_the_makers_of_a_library(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from worker.engines.cpu.artefacts import build_artefacts\n"
        "from worker.engines.openvino.engine import OpenVINOEngine\n"
        "folder = build_artefacts(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), 'd' * 64).folder\n"
        "OpenVINOEngine(folder / 'float32.xml')\n"
        "print([name for name, module in sys.modules.items() if name.startswith('openvino_telemetry') and module])\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", program, str(tmp_path / "engines"), str(CHECKPOINTS / "bert")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(home)})
    assert done.stdout.splitlines()[-1] == "[]"
    # Where it would note that nobody has refused, and a number to tell this machine by.
    assert not (home / "intel").exists()


def test_other_libraries_or_another_cpu_build_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(tmp_path, CHECKPOINTS / "bert").folder
    assert build(tmp_path, CHECKPOINTS / "bert").folder == first
    monkeypatch.setattr(artefacts, "cpu_kind", lambda: "another")
    other_cpu = build(tmp_path, CHECKPOINTS / "bert").folder
    monkeypatch.setattr(artefacts, "version", lambda name: "99")
    other_libraries = build(tmp_path, CHECKPOINTS / "bert").folder
    assert len({first, other_cpu, other_libraries}) == 3


def test_a_checkpoint_at_fault_is_told_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(CHECKPOINTS / "bert", broken)
    tensors = load_file(broken / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.bias"]
    save_file(tensors, broken / "model.safetensors")
    with pytest.raises(CheckpointLoadError) as caught:
        build(tmp_path, broken)
    assert "bert.encoder.layer.1.output.dense.bias is missing" in str(caught.value)
    assert str(broken) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path != broken]


def test_a_builder_that_dies_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "openvino.py").write_text("raise SystemError('the library is broken')")  # stands before the real one
    with pytest.raises(EngineBuildError, match="could not be built: SystemError: the library is broken"):
        build(tmp_path, CHECKPOINTS / "bert")


def test_a_token_without_an_embedding_is_no_zero(tmp_path: Path) -> None:
    directory = make_poisoned_checkpoint(tmp_path / "poisoned")
    engine = OpenVINOEngine(build_graph(read_weights(directory)))
    words = json.loads((directory / "config.json").read_text())["vocab_size"]
    good = batch(2, 4)
    engine.logits(good)
    good.token_ids[1, 2] = words
    with pytest.raises(TokenBeyondVocabulary, match=f"token {words} has no embedding: the model knows {words} tokens"):
        engine.logits(good)


class Full:
    """A request that finds no memory, in OpenVINO's own words."""

    def start_async(self, *_: object, **__: object) -> None:
        pass

    def wait(self) -> None:
        raise RuntimeError(
            "Exception from src/x.cpp:1:\n[CPU] Gather node\nFailed to allocate 196608000 bytes of memory"
        )


def test_what_is_computed_ends_before_all_that_was_kept_is_let_go() -> None:
    engine = OpenVINOEngine(build_graph(read_weights(CHECKPOINTS / "bert")))
    expected = engine.logits(batch(3, 5))
    requests, compile_anew, under_way = engine._requests, engine._compile, list[int]()
    assert requests is not None
    others = [engine.start(batch(3, 5)) for _ in range(engine.streams)]
    requests._idle = [Full()]

    def compile_and_look() -> object:
        under_way.append(len(requests._started))
        return compile_anew()

    engine._compile = compile_and_look
    np.testing.assert_array_equal(engine.logits(batch(3, 5)), expected)
    assert under_way == [0]
    for logits in others:
        np.testing.assert_array_equal(logits(), expected)


def test_what_was_kept_is_let_go_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OpenVINOEngine(build_graph(read_weights(CHECKPOINTS / "bert")))
    expected = engine.logits(batch(3, 5))
    engine._requests._idle = [Full()]
    np.testing.assert_array_equal(engine.logits(batch(3, 5)), expected)
    # With nothing left to let go it is the batch that is too large.
    engine._requests = None
    engine._compile = lambda: type("Compiled", (), {"create_infer_request": Full})()
    with pytest.raises(MemoryError, match="no memory for 15 tokens in one batch"):
        engine.logits(batch(3, 5))
