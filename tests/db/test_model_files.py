"""Files of models travel by the store: put there whole, copied once a machine, and held against their digest."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest
from fsspec.core import url_to_fs

from db.checkpoint import checkpoint_files, read_checkpoint_facts
from db.database import Database
from db.errors import ModelChanged, ModelMissing, StoreUnreachable
from db.model_files import ModelFiles
from db.model_store import ModelStore
from db.registry import RegisteredModel, register_model
from db.settings import DatabaseSettings
from tests.samples import CHECKPOINTS
from tests.stores import directory_url, memory_url, s3_server, s3_url, store_url
from tests.system import wait_until

__all__ = ["directory_url", "memory_url", "s3_server", "s3_url", "store_url"]

BERT = CHECKPOINTS / "bert"
DIGEST = read_checkpoint_facts(BERT).digest


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FILES = sorted(path.name for path in checkpoint_files(BERT))


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A checkpoint of somebody's own, with a pickle, code and notes beside it."""
    folder = tmp_path / "mine"
    shutil.copytree(BERT, folder)
    for name in ("pytorch_model.bin", "training_args.bin", "modeling.py", "notes.md", "optimizer.pt"):
        (folder / name).write_bytes(b"not a part of it")
    return folder


def host(name: str, tmp_path: Path, store: str) -> ModelFiles:
    """The files as a machine with a home of its own sees them."""
    return ModelFiles(DatabaseSettings(home=tmp_path / name, model_store=store))


def copy_of(name: str, tmp_path: Path) -> Path:
    return tmp_path / name / "models-cache" / DIGEST


def registered(database: Database, path: str) -> RegisteredModel:
    with database.write() as connection:
        return register_model(connection, "stars", path, read_checkpoint_facts(BERT), kind="directory")


def test_without_a_store_a_folder_stays_where_it_is(tmp_path: Path, local: Path) -> None:
    files = host("here", tmp_path, "")
    assert files.keep(local, DIGEST) == str(local)
    assert files.folder(str(local), "stars@1") == local
    assert not (tmp_path / "here").exists()
    shutil.rmtree(local)
    with pytest.raises(ModelMissing, match=r"the files of stars@1 are gone: .*mine is not a folder on this machine"):
        files.folder(str(local), "stars@1")


def test_what_one_machine_puts_there_another_finds_whole(tmp_path: Path, local: Path, store_url: str) -> None:
    place = host("here", tmp_path, store_url).keep(local, DIGEST)
    assert place == f"store:{DIGEST}"
    shutil.rmtree(local)
    folder = host("there", tmp_path, store_url).folder(place, "stars@1")
    assert folder == copy_of("there", tmp_path)
    # The checkpoint's own files, and no pickle and no code.
    assert names_in(folder) == FILES
    for name in FILES:
        assert (folder / name).read_bytes() == (BERT / name).read_bytes()
    assert not (tmp_path / "here").exists()


def test_what_is_there_is_neither_put_nor_fetched_again(tmp_path: Path, local: Path, store_url: str) -> None:
    files = host("here", tmp_path, store_url)
    place = files.keep(local, DIGEST)
    filesystem, root = url_to_fs(store_url)
    weights = f"{root}/{DIGEST}/model.safetensors"
    before = filesystem.info(weights).get("LastModified") or filesystem.modified(weights)
    assert files.keep(local, DIGEST) == place
    filesystem.invalidate_cache()
    assert (filesystem.info(weights).get("LastModified") or filesystem.modified(weights)) == before
    folder = files.folder(place, "stars@1")
    filesystem.rm(root, recursive=True)
    assert files.folder(place, "stars@1") == folder


def test_a_file_that_the_store_lost_is_put_again(tmp_path: Path, local: Path, store_url: str) -> None:
    files = host("here", tmp_path, store_url)
    place = files.keep(local, DIGEST)
    filesystem, root = url_to_fs(store_url)
    filesystem.rm(f"{root}/{DIGEST}/tokenizer.json")
    with pytest.raises(ModelMissing, match=r"the files of stars@1 in the model store .* are not whole: tokenizer.json"):
        files.folder(place, "stars@1")
    files.keep(local, DIGEST)
    assert names_in(files.folder(place, "stars@1")) == FILES


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_copy_that_was_damaged_is_fetched_again(
    tmp_path: Path, local: Path, store_url: str, database: Database
) -> None:
    files = host("here", tmp_path, store_url)
    model = registered(database, files.keep(local, DIGEST))
    folder = files.checked(model)
    damage(folder / "model.safetensors")
    assert files.folder(model.path, "stars@1") == folder
    assert read_checkpoint_facts(folder).digest != DIGEST
    assert files.checked(model) == folder
    assert read_checkpoint_facts(folder).digest == DIGEST
    (folder / "config.json").unlink()
    assert files.folder(model.path, "stars@1", check=True) == folder
    assert names_in(folder) == FILES


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_files_under_the_digest_are_refused(tmp_path: Path, local: Path, store_url: str, name: str) -> None:
    place = host("here", tmp_path, store_url).keep(local, DIGEST)
    filesystem, root = url_to_fs(store_url)
    content = bytearray(filesystem.cat_file(f"{root}/{DIGEST}/{name}"))
    content[-1] ^= 1
    filesystem.pipe_file(f"{root}/{DIGEST}/{name}", bytes(content))
    there = host("there", tmp_path, store_url)
    with pytest.raises(ModelChanged, match=rf"the files of stars@1 in .* are not those .* {name} is damaged") as caught:
        there.folder(place, "stars@1")
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path / "there" / "models-cache") == [f"{DIGEST}.lock"]


def test_another_model_under_the_digest_is_refused_though_its_manifest_fits(
    tmp_path: Path, local: Path, store_url: str
) -> None:
    files = host("here", tmp_path, store_url)
    other = read_checkpoint_facts(CHECKPOINTS / "distilbert").digest
    files.keep(CHECKPOINTS / "distilbert", other)
    filesystem, root = url_to_fs(store_url)
    filesystem.copy(f"{root}/{other}", f"{root}/{DIGEST}", recursive=True)
    with pytest.raises(ModelChanged, match="are not those that were registered; put the right ones back"):
        files.folder(f"store:{DIGEST}", "stars@1")
    assert not copy_of("here", tmp_path).exists()


def test_no_file_but_a_checkpoints_is_ever_fetched(tmp_path: Path, local: Path, directory_url: str) -> None:
    files = host("here", tmp_path, directory_url)
    place = files.keep(local, DIGEST)
    manifest = Path(directory_url) / DIGEST / "manifest.json"
    for name in ("pytorch_model.bin", "../../escape.safetensors", "/tmp/config.json", "modeling.py"):
        told = manifest.read_text().replace('"config.json"', f'"{name}"')
        manifest.with_suffix(".kept").write_text(manifest.read_text())
        manifest.write_text(told)
        with pytest.raises(ModelChanged, match="which is no part of a checkpoint"):
            files.folder(place, "stars@1")
        assert names_in(tmp_path / "here" / "models-cache") == [f"{DIGEST}.lock"]
        manifest.with_suffix(".kept").rename(manifest)


def test_files_that_change_while_they_are_put_there_are_refused(tmp_path: Path, local: Path, store_url: str) -> None:
    damage(local / "model.safetensors")
    with pytest.raises(ModelChanged, match="change while they are read"):
        host("here", tmp_path, store_url).keep(local, DIGEST)
    assert not ModelStore(store_url).has(DIGEST)


def test_a_model_that_the_store_has_not_is_missing(tmp_path: Path, local: Path, store_url: str) -> None:
    files = host("here", tmp_path, store_url)
    files.keep(local, DIGEST)
    with pytest.raises(ModelMissing, match=r"the files of stars@2 in the model store .* are gone, or were never whole"):
        files.folder(f"store:{'0' * 64}", "stars@2")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("/nowhere/share", "the model store /nowhere/share cannot be used: there is no such place, or it is empty"),
        ("memory://nobody:s3cret@nowhere", r"the model store memory://\*\*\*@nowhere cannot be used"),
        ("nonsense://place", "the model store nonsense://place cannot be used: Protocol not known: nonsense"),
        ("", "stars@1 is in a model store, and REVIEWMILL_MODEL_STORE is not set here"),
    ],
)
def test_a_store_that_is_away_is_not_the_models_fault(tmp_path: Path, store: str, said: str) -> None:
    with pytest.raises(StoreUnreachable, match=said) as caught:
        host("here", tmp_path, store).folder(f"store:{DIGEST}", "stars@1")
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer_and_a_bucket_that_is_not_there(
    tmp_path: Path, local: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = host("here", tmp_path, s3_url).keep(local, DIGEST)
    with pytest.raises(StoreUnreachable, match="s3://other/models cannot be used"):
        host("there", tmp_path, "s3://other/models").folder(place, "stars@1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    type(fsspec.filesystem("s3")).clear_instance_cache()
    with pytest.raises(StoreUnreachable, match="cannot be used"):
        host("there", tmp_path, s3_url).folder(place, "stars@1")
    with pytest.raises(StoreUnreachable, match="cannot be used"):
        host("here", tmp_path, s3_url).keep(local, DIGEST)


def test_a_version_of_a_folder_moves_into_the_store_when_it_is_added_again(
    tmp_path: Path, local: Path, memory_url: str, database: Database
) -> None:
    before = registered(database, str(local))
    place = host("here", tmp_path, memory_url).keep(local, DIGEST)
    after = registered(database, place)
    assert (after.id, after.path) == (before.id, place)
    # A machine without the store does not take it out again.
    assert registered(database, str(local)) == after


PUT = """
import os, signal, sys
from pathlib import Path
import fsspec.implementations.local as local
from db.model_files import ModelFiles

point, directory, digest = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def torn(self, source, target, **_):
    content = Path(source).read_bytes()
    Path(target).write_bytes(content[: len(content) // 2])
    die()

def torn_manifest(self, path, value, **_):
    Path(path).write_bytes(value[: len(value) // 2])
    die()

kind = local.LocalFileSystem
name, fault = {"file": ("put_file", torn), "last": ("pipe_file", die), "manifest": ("pipe_file", torn_manifest)}[point]
assert hasattr(kind, name)
setattr(kind, name, fault)
ModelFiles().keep(Path(directory), digest)
"""


@pytest.mark.parametrize("point", ["file", "last", "manifest"])
def test_a_kill_while_a_model_is_put_there_leaves_nothing_that_loads(
    tmp_path: Path, local: Path, directory_url: str, point: str
) -> None:
    environment = {**os.environ, "REVIEWMILL_MODEL_STORE": directory_url}
    command = [sys.executable, "-c", PUT, point, str(local), DIGEST]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert names_in(Path(directory_url)) == [DIGEST]
    there = host("there", tmp_path, directory_url)
    with pytest.raises(ModelMissing, match="never whole"):
        there.folder(f"store:{DIGEST}", "stars@1")
    there.keep(local, DIGEST)
    assert names_in(there.folder(f"store:{DIGEST}", "stars@1")) == FILES


FETCH = """
import os, sys, time
from pathlib import Path
from db.model_files import ModelFiles
from db.model_store import ModelStore

marks, place = Path(sys.argv[1]), sys.argv[2]
fetch = ModelStore.fetch

def slow(self, *arguments):
    (marks / f"fetches-{os.getpid()}").touch()
    while not (marks / "go").exists():
        time.sleep(0.01)
    if len(sys.argv) > 3:
        os.abort()
    fetch(self, *arguments)

ModelStore.fetch = slow
(marks / f"asks-{os.getpid()}").touch()
print(ModelFiles().folder(place, "stars@1"))
"""


def fetching(marks: Path, place: str, store: str, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "REVIEWMILL_MODEL_STORE": store}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(marks), place, *more], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_two_processes_that_start_together_fetch_once(tmp_path: Path, local: Path, directory_url: str) -> None:
    place = host("here", tmp_path, directory_url).keep(local, DIGEST)
    marks = tmp_path / "marks"
    marks.mkdir()
    processes = [fetching(marks, place, directory_url) for _ in range(2)]
    wait_until(lambda: len(list(marks.glob("asks-*"))) == 2 and list(marks.glob("fetches-*")))
    time.sleep(0.5)  # the second would fetch now, if nothing kept it from that
    (marks / "go").touch()
    told = {process.communicate(timeout=60)[0].splitlines()[-1] for process in processes}
    assert len(told) == 1
    assert names_in(Path(told.pop())) == FILES
    assert len(list(marks.glob("fetches-*"))) == 1


def test_a_fetch_that_was_killed_is_begun_again(tmp_path: Path, local: Path, directory_url: str) -> None:
    files = host("home", tmp_path, directory_url)
    place = files.keep(local, DIGEST)
    (marks := tmp_path / "marks").mkdir()
    (marks / "go").touch()
    assert fetching(marks, place, directory_url, "die").wait(60) == -signal.SIGABRT
    cache = tmp_path / "home" / "models-cache"
    (cache / f".{DIGEST}.partial").mkdir()
    (cache / f".{DIGEST}.partial" / "config.json").write_text("half of it")
    assert names_in(files.folder(place, "stars@1")) == FILES
    assert names_in(cache) == [DIGEST, f"{DIGEST}.lock"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
