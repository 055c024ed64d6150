"""What the registry records of a checkpoint, and every refusal as one clear line."""

import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from db.checkpoint import normalise_problem_type, read_checkpoint_facts
from db.errors import CheckpointError

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
Header = dict[str, Any]
Copy = Callable[..., Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Copy a checkpoint and set keys of one of its JSON files; None removes a key."""

    def make(name: str = "bert", file: str = "config.json", **keys: Any) -> Path:
        shutil.copytree(CHECKPOINTS / name, tmp_path / name)
        path = tmp_path / name / file
        merged = json.loads(path.read_text("utf-8")) | keys
        path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}), "utf-8")
        return tmp_path / name

    return make


def read_header(path: Path) -> Header:
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])


def rewrite_header(path: Path, change: Callable[[Header], Header]) -> None:
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.dumps(change(json.loads(raw[8 : 8 + length]))).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + raw[8 + length :])


def without(*starts: str) -> Callable[[Header], Header]:
    return lambda header: {name: entry for name, entry in header.items() if not name.startswith(starts)}


def refuses(directory: Path, words: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(words)) as caught:
        read_checkpoint_facts(directory)
    message = str(caught.value)
    assert message.startswith(f"{directory}: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "family", "labels", "problem_type", "max_tokens"),
    [
        ("bert", "bert", "negative neutral positive", "single_label_classification", 64),
        ("bert-gelu-new", "bert", "NEGATIVE POSITIVE", "single_label_classification", 48),
        ("bert-one-class", "bert", "spam", "multi_label_classification", 40),
        ("bert-regression", "bert", "stars", "regression", 40),
        ("distilbert", "distilbert", "NEGATIVE POSITIVE", "single_label_classification", 64),
        ("roberta", "roberta", "negative neutral positive", "single_label_classification", 64),
        (
            "roberta-multi-label",
            "roberta",
            "price quality service delivery",
            "multi_label_classification",
            48,
        ),
        ("xlm-roberta", "xlm-roberta", "NEGATIVE POSITIVE", "single_label_classification", 64),
        ("albert", "albert", "negative neutral positive", "single_label_classification", 64),
    ],
)
def test_facts(name: str, family: str, labels: str, problem_type: str, max_tokens: int) -> None:
    facts = read_checkpoint_facts(CHECKPOINTS / name)
    assert (facts.family, facts.labels, facts.problem_type) == (family, tuple(labels.split()), problem_type)
    assert facts.max_tokens == max_tokens
    assert re.fullmatch("[0-9a-f]{64}", facts.digest)


def test_bare_encoder_has_no_labels(copy: Copy) -> None:
    directory = copy()
    rewrite_header(directory / "model.safetensors", without("classifier."))
    facts = read_checkpoint_facts(directory)
    assert (facts.labels, facts.problem_type) == (None, None)


def test_labels_without_id2label(copy: Copy) -> None:
    assert read_checkpoint_facts(copy(id2label=None)).labels == ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    ("stated", "classes", "expected"),
    [
        (None, 1, "multi_label_classification"),
        (None, 2, "single_label_classification"),
        ("single_label_classification", 1, "multi_label_classification"),
        ("multi_label_classification", 5, "multi_label_classification"),
        ("regression", 1, "regression"),
        ("regression", 3, "regression"),
    ],
)
def test_problem_types_as_the_pipeline_decides(stated: str | None, classes: int, expected: str) -> None:
    assert normalise_problem_type(stated, classes) == expected


@pytest.mark.parametrize(
    ("name", "stated", "expected"),
    [("bert", 12, 12), ("bert", int(1e30), 64), ("bert", 1e30, 64), ("bert", None, 64), ("roberta", 512, 64)],
)
def test_max_tokens_is_the_smaller_limit(copy: Copy, name: str, stated: float | None, expected: int) -> None:
    directory = copy(name, "tokenizer_config.json", model_max_length=stated)
    assert read_checkpoint_facts(directory).max_tokens == expected


def test_roberta_positions_start_after_the_padding_id(copy: Copy) -> None:
    assert read_checkpoint_facts(copy("roberta", max_position_embeddings=50, pad_token_id=9)).max_tokens == 40


def test_digest_survives_a_move_and_ignores_other_files(copy: Copy) -> None:
    directory = copy()
    before = read_checkpoint_facts(directory).digest
    moved = directory.rename(directory.with_name("elsewhere"))
    (moved / "README.md").write_text("another file")
    assert read_checkpoint_facts(moved).digest == before


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_digest_changes_with_each_file_that_decides_the_numbers(copy: Copy, file: str) -> None:
    directory = copy()
    before = read_checkpoint_facts(directory).digest
    with (directory / file).open("ab") as stream:
        stream.write(b" ")
    assert read_checkpoint_facts(directory).digest != before


def shard(directory: Path, names: Mapping[str, str]) -> None:
    """Copy the weights to two files, each with half of the header, as the index says."""
    weights = directory / "model.safetensors"
    for file in set(names.values()):
        shutil.copy(weights, directory / file)
        rewrite_header(
            directory / file,
            lambda header, file=file: {name: header[name] for name in names if names[name] == file},
        )
    weights.unlink()
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


@pytest.fixture
def sharded(copy: Copy) -> Path:
    directory = copy()
    tensors = sorted(without("__metadata__")(read_header(directory / "model.safetensors")))
    shard(
        directory,
        {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(tensors)},
    )
    return directory


def test_shards_are_read_and_hashed(sharded: Path) -> None:
    facts = read_checkpoint_facts(sharded)
    assert facts.labels == ("negative", "neutral", "positive")
    with (sharded / "model-00002-of-00002.safetensors").open("ab") as stream:
        stream.write(b"\0")
    assert read_checkpoint_facts(sharded).digest != facts.digest


def test_missing_shard(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    refuses(
        sharded,
        "the shard model-00002-of-00002.safetensors that model.safetensors.index.json names is missing",
    )


@pytest.mark.parametrize("name", ["../secret.safetensors", "model.bin", "/etc/passwd"])
def test_shards_lie_in_the_directory(sharded: Path, name: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    refuses(sharded, f"names {name!r}; shards must be safetensors files in the directory")


def test_index_without_a_map(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text("{}")
    refuses(sharded, "model.safetensors.index.json has no weight_map")


def test_no_directory(tmp_path: Path) -> None:
    refuses(tmp_path / "absent", "there is no such directory")


def test_no_config(tmp_path: Path) -> None:
    refuses(tmp_path, "config.json is missing")


@pytest.mark.parametrize("model_type", ["gpt2", None, 7])
def test_unsupported_family(copy: Copy, model_type: Any) -> None:
    words = f"model_type {model_type!r} in config.json is not supported; "
    refuses(copy(model_type=model_type), words + "the families are bert, distilbert, roberta, xlm-roberta, albert")


def test_a_decoder_of_a_known_family(copy: Copy) -> None:
    refuses(copy(is_decoder=True), "is_decoder is set in config.json; only encoders classify here")


def test_pickled_weights_only(copy: Copy) -> None:
    directory = copy()
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    refuses(directory, "only pytorch_model.bin; weights must be safetensors")


def test_no_weights(copy: Copy) -> None:
    directory = copy()
    (directory / "model.safetensors").unlink()
    refuses(directory, "no weights; weights must be safetensors")


def test_no_tokenizer(copy: Copy) -> None:
    directory = copy()
    (directory / "tokenizer.json").unlink()
    refuses(directory, "no tokenizer files; one of tokenizer.json, vocab.txt")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "config.json is not JSON"), (b"[]", "must hold a JSON object"), (b"\xff", "not JSON")],
)
def test_corrupt_config(copy: Copy, content: bytes, words: str) -> None:
    directory = copy()
    (directory / "config.json").write_bytes(content)
    refuses(directory, words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it has no readable header"),
        (b"\x02\0\0", "it has no readable header"),
        (b"\xff" * 20, "it has no readable header"),
        (b"\x02" + b"\0" * 7 + b"{x", "its header is not JSON"),
        (b"\x02" + b"\0" * 7 + b"[]", "its header does not describe tensors"),
        (b"\x07" + b"\0" * 7 + b'{"a":1}', "its header does not describe tensors"),
    ],
)
def test_corrupt_weights(copy: Copy, content: bytes, words: str) -> None:
    directory = copy()
    (directory / "model.safetensors").write_bytes(content)
    refuses(directory, f"model.safetensors is not a whole safetensors file: {words}")


def test_truncated_weights(copy: Copy) -> None:
    weights = copy() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    refuses(weights.parent, "it ends before its last tensor does")


@pytest.mark.parametrize(
    ("id2label", "words"),
    [
        ({"0": "a", "1": "b"}, "id2label in config.json names 2 classes but the head has 3"),
        ({"1": "a", "2": "b", "3": "c"}, "it must name 0 to 2"),
        ({"0": "a", "1": "b", "2": "a"}, "gives two classes the same label"),
        (["a", "b", "c"], "must map class numbers to labels"),
        ({"zero": "a"}, "must map class numbers to labels"),
    ],
)
def test_labels_that_do_not_fit_the_head(copy: Copy, id2label: Any, words: str) -> None:
    refuses(copy(id2label=id2label), words)


def test_unknown_problem_type(copy: Copy) -> None:
    refuses(copy(problem_type="ranking"), "problem_type 'ranking' in config.json is not one of single_label")


@pytest.mark.parametrize(
    ("name", "gone"),
    [("bert", "classifier.bias"), ("distilbert", "pre_classifier."), ("roberta", "classifier.dense.")],
)
def test_part_of_a_head(copy: Copy, name: str, gone: str) -> None:
    directory = copy(name)
    rewrite_header(directory / "model.safetensors", without(gone))
    refuses(directory, f"a {name} sequence classifier has ")


def test_token_classifiers_are_refused(copy: Copy) -> None:
    directory = copy()
    rewrite_header(directory / "model.safetensors", without("bert.pooler."))
    refuses(directory, "a head without pooler.dense.weight does not classify sequences")


def test_heads_of_other_tasks_are_refused(copy: Copy) -> None:
    refuses(copy(architectures=["BertForMultipleChoice"]), "BertForMultipleChoice does not classify sequences")


def test_head_of_another_shape(copy: Copy) -> None:
    directory = copy()

    def flatten(header: Header) -> Header:
        header["classifier.weight"]["shape"] = [96]
        return header

    rewrite_header(directory / "model.safetensors", flatten)
    refuses(directory, "classifier.weight has shape [96]; a classification head has [classes, hidden size]")


@pytest.mark.parametrize("positions", [0, "many", None])
def test_no_positions(copy: Copy, positions: Any) -> None:
    if positions is None:
        assert read_checkpoint_facts(copy(max_position_embeddings=None)).max_tokens == 64
    else:
        refuses(copy(max_position_embeddings=positions), "leaves no room for a token")


def test_imports_the_standard_library_alone() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\nimport db.checkpoint\n"
        "roots = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(roots - set(sys.stdlib_module_names)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['db']"
