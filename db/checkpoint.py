"""What the registry records of a checkpoint directory, read with the standard library alone.

A checkpoint is a Hugging Face directory: config.json, safetensors weights (one file, or shards and their
index) and tokenizer files. Only the headers of the weights are parsed here: a model is registered in
milliseconds and without importing any machine-learning library.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from db.errors import CheckpointError

FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "albert")
SINGLE_LABEL, MULTI_LABEL, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)

#: Every file that a tokenizer of the five families may consist of.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
#: Any one of these is enough to build the tokenizer from.
_VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")

_WEIGHTS_FILE = "model.safetensors"
_INDEX_FILE = "model.safetensors.index.json"

#: A safetensors header is some kilobytes; the format itself stops at 100 MB.
_HEADER_LIMIT_BYTES = 100_000_000

#: transformers writes int(1e30) for "no limit"; no position table comes near this.
_ABSURD_LENGTH_TOKENS = 1_000_000

#: What the config classes of transformers assume of a key that is absent.
_DEFAULT_POSITIONS = 512
_DEFAULT_ROBERTA_PADDING_ID = 1

_BERT_HEAD = ("classifier.weight", "classifier.bias")
_ROBERTA_HEAD = (
    "classifier.dense.weight",
    "classifier.dense.bias",
    "classifier.out_proj.weight",
    "classifier.out_proj.bias",
)
_HEADS: Mapping[str, tuple[str, ...]] = {
    "bert": _BERT_HEAD,
    "albert": _BERT_HEAD,
    "distilbert": ("pre_classifier.weight", "pre_classifier.bias", *_BERT_HEAD),
    "roberta": _ROBERTA_HEAD,
    "xlm-roberta": _ROBERTA_HEAD,
}
#: BERT and ALBERT heads stand on a pooler; those of their token classifiers have the same names without it.
_POOLERS: Mapping[str, str] = {"bert": "pooler.dense.weight", "albert": "pooler.weight"}
_OTHER_TASKS = ("ForTokenClassification", "ForMultipleChoice")

Shape = tuple[int, ...]


#: Where a directory may state a lower limit than its positions. The second is what the makers of a
#: sentence encoder trained it to read; all-MiniLM-L6-v2 reads 256 of its 512 positions.
_LIMITS = (("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length"))


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """One checkpoint directory, as the registry keeps it.

    labels and problem_type are None for a bare encoder (no classification head). max_tokens counts the
    special tokens too. digest is the SHA-256, in hex, of every file that decides the numbers.
    """

    family: str
    labels: tuple[str, ...] | None
    problem_type: str | None
    max_tokens: int
    digest: str


def read_checkpoint_facts(directory: Path) -> CheckpointFacts:
    """Read what the registry records of a checkpoint directory.

    Raises CheckpointError, one line naming the directory, what is wrong and what is allowed.
    """
    config = read_config(directory)
    family = _family(directory, config)
    _refuse_decoder(directory, config)
    weights = weights_files(directory)
    tokenizer = tokenizer_files(directory)
    classes = _class_count(directory, family, config, _tensor_shapes(weights))
    digest = digest_of({path.name: sha256_of(path) for path in (directory / "config.json", *weights, *tokenizer)})
    max_tokens = _max_tokens(directory, family, config)
    if classes is None:
        return CheckpointFacts(family, None, None, max_tokens, digest)
    labels = _labels(directory, config, classes)
    return CheckpointFacts(family, labels, _problem_type(directory, config, classes), max_tokens, digest)


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json of a checkpoint directory; raises CheckpointError."""
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: there is no such directory")
    if not (directory / "config.json").is_file():
        raise CheckpointError(
            f"{directory}: config.json is missing; a checkpoint holds config.json, safetensors weights and a tokenizer"
        )
    return _json_object(directory / "config.json")


def weights_files(directory: Path) -> list[Path]:
    """Return the safetensors files of a checkpoint, shards by name; raises CheckpointError."""
    single, index = directory / _WEIGHTS_FILE, directory / _INDEX_FILE
    if single.is_file():
        return [single]
    if not index.is_file():
        raise CheckpointError(f"{directory}: {_describe_lacking_weights(directory)}")
    return [_shard(directory, name) for name in _shard_names(index)]


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the tokenizer files that are there; raises CheckpointError when no vocabulary is."""
    if not any((directory / name).is_file() for name in _VOCABULARY_FILES):
        allowed = ", ".join(_VOCABULARY_FILES)
        raise CheckpointError(f"{directory}: no tokenizer files; one of {allowed} must be there")
    return [directory / name for name in TOKENIZER_FILES if (directory / name).is_file()]


def checkpoint_files(directory: Path) -> list[Path]:
    """Return every file that a checkpoint consists of, whatever else lies beside them; raises CheckpointError."""
    also = (_INDEX_FILE, *(name for name, _ in _LIMITS))
    found = [directory / "config.json", *weights_files(directory), *tokenizer_files(directory)]
    return list(dict.fromkeys([*found, *(directory / name for name in also if (directory / name).is_file())]))


def is_checkpoint_file(name: str) -> bool:
    """Whether `checkpoint_files` may name a file so, in its directory and nowhere else."""
    known = ("config.json", _INDEX_FILE, *TOKENIZER_FILES, *(limit for limit, _ in _LIMITS))
    return name in known or (name.endswith(".safetensors") and Path(name).name == name)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's contents, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(sums: Mapping[str, str]) -> str:
    """Return the digest of a checkpoint, given the SHA-256 of each of its files by name; others do not count.

    Names and contents are hashed, never directories: a moved or copied checkpoint keeps its digest.
    """
    weights = sorted(name for name in sums if name.endswith(".safetensors"))
    names = ["config.json", *weights, *(name for name in TOKENIZER_FILES if name in sums)]
    return hashlib.sha256("".join(f"{name} {sums[name]}\n" for name in names).encode()).hexdigest()


def count_parameters(directory: Path) -> int:
    """Return how many numbers the weights of a checkpoint are; raises CheckpointError."""
    return sum(prod(shape) for shape in _tensor_shapes(weights_files(directory)).values())


def _family(directory: Path, config: Mapping[str, Any]) -> str:
    family = config.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(
            f"{directory}: model_type {family!r} in config.json is not supported; "
            f"the families are {', '.join(FAMILIES)}"
        )
    return str(family)


def _refuse_decoder(directory: Path, config: Mapping[str, Any]) -> None:
    # A model of these families that reads only what stands before each token: it has the tensors of an encoder.
    if config.get("is_decoder"):
        raise CheckpointError(f"{directory}: is_decoder is set in config.json; only encoders classify here")


def _describe_lacking_weights(directory: Path) -> str:
    others = sorted(path.name for path in directory.glob("*.bin")) + sorted(
        path.name for path in directory.glob("*.h5")
    )
    found = f"only {', '.join(others)}" if others else "no weights"
    return f"{found}; weights must be safetensors ({_WEIGHTS_FILE}, or shards with {_INDEX_FILE})"


def _shard_names(index: Path) -> list[str]:
    weight_map = _json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index.parent}: {index.name} has no weight_map from tensors to files")
    return sorted({str(name) for name in weight_map.values()})


def _shard(directory: Path, name: str) -> Path:
    # A downloaded index must not make us read files elsewhere.
    if Path(name).name != name or not name.endswith(".safetensors"):
        raise CheckpointError(
            f"{directory}: {_INDEX_FILE} names {name!r}; shards must be safetensors files in the directory"
        )
    if not (directory / name).is_file():
        raise CheckpointError(f"{directory}: the shard {name} that {_INDEX_FILE} names is missing")
    return directory / name


def _tensor_shapes(files: Iterable[Path]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for path in files:
        shapes.update(_header_shapes(path))
    return shapes


def _header_shapes(path: Path) -> dict[str, Shape]:
    """Read names and shapes from a safetensors header: 8 bytes of little-endian length, then JSON."""
    header, payload_bytes = _read_header(path)
    try:
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
        shapes = {name: tuple(int(size) for size in entry["shape"]) for name, entry in entries.items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise _corrupt(path, "its header does not describe tensors") from None
    if max(ends, default=0) > payload_bytes:
        raise _corrupt(path, "it ends before its last tensor does; copy or download it again")
    return shapes


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _HEADER_LIMIT_BYTES):
            raise _corrupt(path, "it has no readable header")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except ValueError:
        raise _corrupt(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _corrupt(path, "its header does not describe tensors")
    return header, size - 8 - length


def _corrupt(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path.parent}: {path.name} is not a whole safetensors file: {why}")


def _class_count(directory: Path, family: str, config: Mapping[str, Any], shapes: Mapping[str, Shape]) -> int | None:
    """Count the classes in the shape of the head's last kernel, [classes, hidden]; None without a head."""
    found = sorted(name for name in shapes if name.startswith(("classifier.", "pre_classifier.")))
    if not found:
        return None
    _refuse_other_heads(directory, family, config, shapes, found)
    last = _HEADS[family][-2]
    shape = shapes[last]
    if len(shape) != 2 or shape[0] < 1:
        raise CheckpointError(
            f"{directory}: {last} has shape {list(shape)}; a classification head has [classes, hidden size]"
        )
    return shape[0]


def _refuse_other_heads(
    directory: Path, family: str, config: Mapping[str, Any], shapes: Mapping[str, Shape], found: list[str]
) -> None:
    expected = sorted(_HEADS[family])
    if found != expected:
        raise CheckpointError(
            f"{directory}: the head has {', '.join(found)}; a {family} sequence classifier has {', '.join(expected)}"
        )
    other = [str(name) for name in config.get("architectures") or () if str(name).endswith(_OTHER_TASKS)]
    pooler = _POOLERS.get(family)
    if other or (pooler and not any(name in (pooler, f"{family}.{pooler}") for name in shapes)):
        what = other[0] if other else f"a head without {pooler}"
        raise CheckpointError(f"{directory}: {what} does not classify sequences; use a sequence classifier")


def _labels(directory: Path, config: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """Return one label a class; an absent id2label gives LABEL_0 and so on, as transformers does."""
    id2label = config.get("id2label")
    if id2label is None:
        return tuple(f"LABEL_{index}" for index in range(classes))
    try:
        named = {int(key): str(label) for key, label in id2label.items()}
    except (AttributeError, ValueError):
        raise CheckpointError(f"{directory}: id2label in config.json must map class numbers to labels") from None
    if sorted(named) != list(range(classes)):
        raise CheckpointError(
            f"{directory}: id2label in config.json names {len(named)} classes "
            f"but the head has {classes}; it must name 0 to {classes - 1}"
        )
    labels = tuple(named[index] for index in range(classes))
    if len(set(labels)) != classes:
        raise CheckpointError(f"{directory}: id2label in config.json gives two classes the same label")
    return labels


def _problem_type(directory: Path, config: Mapping[str, Any], classes: int) -> str:
    """Apply the rule of the transformers text-classification pipeline (its postprocess method)."""
    stated = config.get("problem_type")
    if stated is not None and stated not in PROBLEM_TYPES:
        raise CheckpointError(
            f"{directory}: problem_type {stated!r} in config.json is not one of {', '.join(PROBLEM_TYPES)}"
        )
    return normalise_problem_type(stated, classes)


def normalise_problem_type(stated: str | None, classes: int) -> str:
    """Return the problem type that a pipeline acts by, given what the config states and the count of classes.

    Source: TextClassificationPipeline.postprocess of transformers. Regression only when stated; multi-label
    when stated or with one class; else single-label.
    """
    if stated == REGRESSION:
        return REGRESSION
    if stated == MULTI_LABEL or classes == 1:
        return MULTI_LABEL
    return SINGLE_LABEL


def _max_tokens(directory: Path, family: str, config: Mapping[str, Any]) -> int:
    positions = _positions(directory, family, config)
    stated = [_stated_limit(directory / name, key) for name, key in _LIMITS]
    return min([positions, *(limit for limit in stated if limit is not None)])


def _positions(directory: Path, family: str, config: Mapping[str, Any]) -> int:
    positions = config.get("max_position_embeddings", _DEFAULT_POSITIONS)
    padding_id = config.get("pad_token_id", _DEFAULT_ROBERTA_PADDING_ID)
    try:
        # RoBERTa counts positions from the one after the padding id.
        usable = int(positions) - (int(padding_id) + 1 if "roberta" in family else 0)
    except (TypeError, ValueError):
        usable = 0
    if usable < 1:
        raise CheckpointError(
            f"{directory}: max_position_embeddings {positions!r} in config.json leaves no room for a token"
        )
    return usable


def _stated_limit(path: Path, key: str) -> int | None:
    limit = _json_object(path).get(key) if path.is_file() else None
    if not isinstance(limit, int | float) or not 0 < limit < _ABSURD_LENGTH_TOKENS:
        return None
    return int(limit)


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path.parent}: {path.name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.parent}: {path.name} must hold a JSON object")
    return value
