"""Whether a model may be loaded goes by where its files are, and by what it was fine-tuned from."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from db.allowed_models import read_allowed_models
from db.database import Database
from db.errors import ModelNotAllowed
from db.lineage import check_allowed, name_of, packaged_folder
from db.registry import register_model
from tests.samples import facts

Register = Callable[..., Path]
Judge = Callable[..., bool]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def register(database: Database) -> Register:
    def store(folder: Path, kind: str = "directory", base: str | None = None, base_folder: Path | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        made_of = {} if base_folder is None else {"parameters": {"base_directory": str(base_folder)}}
        digest = sha256(str(folder).encode()).hexdigest()
        with database.write() as connection:
            register_model(connection, "m", folder, facts(digest), kind=kind, base=base, provenance=made_of)
        return folder

    return store


@pytest.fixture
def by_worker(database: Database, tmp_path: Path) -> Judge:
    def judge(listed: object, folder: Path) -> bool:
        return _is_allowed(database, str(listed), folder, tmp_path / "home" / "models")

    return judge


@pytest.fixture
def by_producer(database: Database) -> Judge:
    def judge(listed: object, folder: Path) -> bool:
        return _is_allowed(database, str(listed), folder, None)

    return judge


def _is_allowed(database: Database, listed: str, folder: Path, made_below: Path | None) -> bool:
    with database.read() as connection:
        try:
            check_allowed(connection, read_allowed_models(listed), folder, made_below=made_below)
        except ModelNotAllowed:
            return False
    return True


def test_a_model_of_the_hub_goes_by_its_folder_in_the_cache(
    register: Register, by_worker: Judge, by_producer: Judge, cache: Path, tmp_path: Path
) -> None:
    real = register(cache / "models--org--good" / "snapshots" / "abc", "hub", "org/good")
    forged = register(tmp_path / "models--org--good" / "snapshots" / "abc", "hub", "org/good")
    assert name_of(real) == "org/good"
    assert by_worker("org/*", real)
    assert by_producer("org/*", real)
    assert not by_worker("other/*", real)
    assert not by_producer("other/*", real)
    # A producer may have a cache of its own; a worker believes none but its own.
    assert by_producer("org/*", forged)
    assert not by_worker("org/*", forged)
    assert by_worker(f"org/*, {tmp_path}", forged)


def test_only_a_snapshot_of_the_cache_has_a_name(cache: Path) -> None:
    assert name_of(cache / "models--org--good") is None
    assert name_of(cache / "models--org--good" / "snapshots" / ".." / "refs" / "main") is None
    assert name_of(cache / "datasets--org--good" / "snapshots" / "abc") is None
    assert name_of(cache / "models--org--good" / "snapshots" / "abc" / "deeper") is None


def test_the_packaged_base_is_listed_by_its_name(by_worker: Judge, by_producer: Judge) -> None:
    folder = packaged_folder()
    assert folder is not None
    for judge in (by_worker, by_producer):
        assert judge("org/*, minilm", folder)
        assert not judge("org/*", folder)


def test_what_was_fine_tuned_here_is_allowed_with_its_base(
    register: Register, by_worker: Judge, by_producer: Judge, tmp_path: Path
) -> None:
    models, base = tmp_path / "home" / "models", tmp_path / "bases" / "bert"
    first = register(models / "stars" / "job-1-1", "finetuned", base_folder=base)
    second = register(models / "stars" / "job-2-1", "finetuned", base_folder=first)
    for judge in (by_worker, by_producer):
        assert judge("", second)
        assert judge(base.parent, second)
        assert judge(models, second)
        assert not judge("org/*", second)


def test_a_row_that_only_says_fine_tuned_is_not_believed_by_workers(
    register: Register, by_worker: Judge, tmp_path: Path
) -> None:
    base = tmp_path / "bases" / "bert"
    forged = register(tmp_path / "evil", "finetuned", base_folder=base)
    assert not by_worker(base.parent, forged)
    unknown = tmp_path / "home" / "models" / "stars" / "job-9-1"
    assert not by_worker(base.parent, unknown)
    out = tmp_path / "home" / "models" / ".." / ".." / "evil2"
    assert not by_worker(base.parent, register(out, "finetuned", base_folder=base))


def test_what_is_in_the_store_is_allowed_with_the_store_and_with_what_is_told_of_it(
    database: Database, by_worker: Judge, by_producer: Judge
) -> None:
    paths = {name: f"store:{name * 64}" for name in "abcd"}
    made_of = {"parameters": {"base_directory": paths["a"]}}
    with database.write() as connection:
        for name, kind, base, provenance in (
            ("a", "hub", "org/good", {}),
            ("b", "directory", None, {}),
            ("c", "finetuned", "org/good", made_of),
            ("d", "finetuned", "org/good", {}),
        ):
            # A path of the store is no folder, wherever this process stands.
            place = Path(paths[name])
            register_model(connection, name, place, facts(name * 64), kind=kind, base=base, provenance=provenance)
    for judge in (by_worker, by_producer):
        assert [judge("store, org/*", Path(path)) for path in paths.values()] == [True, True, True, False]
        assert [judge("store, other/*", Path(path)) for path in paths.values()] == [False, True, False, False]
        assert [judge(f"org/*, {Path.cwd()}", Path(path)) for path in paths.values()] == [False] * 4


def test_versions_that_tell_nothing_or_go_round_are_refused(
    register: Register, by_worker: Judge, by_producer: Judge, tmp_path: Path
) -> None:
    models = tmp_path / "home" / "models" / "m"
    silent = register(models / "job-1-1", "finetuned", "minilm")
    round_ = register(models / "job-2-1", "finetuned", base_folder=models / "job-3-1")
    register(models / "job-3-1", "finetuned", base_folder=round_)
    for judge in (by_worker, by_producer):
        assert not judge("minilm", silent)
        assert not judge("minilm", round_)
