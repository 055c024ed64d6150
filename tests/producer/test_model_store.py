"""Where there is a model store, what jobs need of models is put there before they are enqueued."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.checkpoint import read_checkpoint_facts
from db.database import Database
from db.errors import CheckpointError, StoreUnreachable
from db.model_files import ModelFiles
from db.registry import list_models
from db.tables import Model
from producer.checkpoints import add_from, find_base, find_or_add_model
from producer.enqueue import Doorway, TrainingPlan
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import open_source
from producer.training_set import TrainingSources
from tests.samples import CHECKPOINTS
from tests.stores import directory_url

__all__ = ["directory_url"]

BERT = CHECKPOINTS / "bert"
PLACE = f"store:{read_checkpoint_facts(BERT).digest}"


@pytest.fixture
def store(directory_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REVIEWMILL_MODEL_STORE", directory_url)
    return Path(directory_url)


def test_a_directory_is_registered_in_the_store(database: Database, store: Path) -> None:
    model = find_or_add_model(database, str(BERT))
    assert (model.path, model.kind) == (PLACE, "directory")
    assert [path.name for path in store.iterdir()] == [model.digest]
    # Under another name it is the same files.
    assert add_from(database, str(BERT), "mine").path == PLACE
    assert len(list(store.iterdir())) == 1


def test_a_version_that_was_there_before_the_store_moves_into_it(
    database: Database, directory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find_or_add_model(database, str(BERT))
    monkeypatch.setenv("REVIEWMILL_MODEL_STORE", directory_url)
    after = add_from(database, str(BERT), before.name)
    assert (before.path, after.path, after.id) == (str(BERT), PLACE, before.id)
    with database.read() as connection:
        assert list_models(connection) == [after]


def test_what_cannot_score_and_what_cannot_be_put_there_is_not_registered(
    database: Database, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = find_base(database, "minilm").directory
    with pytest.raises(CheckpointError, match="is an encoder without a classification head"):
        add_from(database, str(encoder), "encoder")
    assert not store.exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("REVIEWMILL_MODEL_STORE", str(tmp_path / "file" / "store"))
    with pytest.raises(StoreUnreachable, match="file/store cannot be used"):
        add_from(database, str(BERT), "stars")
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Model)) == 0


@pytest.mark.parametrize("base", ["directory", "version"])
def test_the_base_of_a_training_is_in_the_store_when_the_job_is(
    database: Database, store: Path, tmp_path: Path, base: str
) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(BERT, folder)
    reference = str(folder) if base == "directory" else find_or_add_model(database, str(folder)).reference
    if base == "version":
        shutil.rmtree(folder)
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "".join(f"number {at},{'good' if at % 2 else 'bad'}\n" for at in range(40)))
    doorway = Doorway(database, None, ProducerSettings())
    found = find_base(database, reference)
    if base == "directory":
        assert not store.exists()
    source, columns = open_source(str(rows)), Columns("text", label="label")
    new = doorway.prepare_finetuning(TrainingSources(source), columns, found, TrainingPlan("taste"))
    assert new.params["base_directory"] == PLACE
    assert read_checkpoint_facts(ModelFiles().folder(PLACE, "the base")).digest == found.facts.digest
