"""What the list of allowed models lets through: names part by part, folders with every link resolved."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from db.allowed_models import read_allowed_models
from db.errors import ModelNotAllowed
from producer.settings import ProducerSettings
from worker.settings import WorkerSettings


@pytest.mark.parametrize(
    ("listed", "name", "is_allowed"),
    [
        ("", "anybody/anything", True),
        ("distilbert/*", "distilbert/distilbert-base-uncased", True),
        ("distilbert/*", "distilbert2/distilbert-base-uncased", False),
        ("distilbert/*", "distilbert/a/b", False),
        ("distilbert/*", "minilm", False),
        ("*/bert-*", "google/bert-tiny", True),
        ("*/bert-*", "google/albert-tiny", False),
        ("org/name, distilbert/x", "org/name", True),
        ("org/name", "org/name2", False),
        ("org/name", "Org/name", False),
        ("org/n.me", "org/name", False),
        ("minilm,org/*", "minilm", True),
        ("store,org/*", "store", True),
        ("*/*, minilm", "store", False),
        ("/srv/models", "srv/models", False),
        ("*/*", "anybody/anything", True),
        ("*/*", "minilm", False),
    ],
)
def test_names(listed: str, name: str, is_allowed: bool) -> None:
    assert read_allowed_models(listed).allows_name(name) is is_allowed


@pytest.mark.parametrize("listed", ["bert", "*", "a/b/c", "./models", "models", "../models", "a/..", "a/b c", "a/[b]"])
def test_entries_that_mean_nothing_are_refused_by_both_rooms(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_ALLOWED_MODELS", f"org/name,{listed}")
    for settings in (ProducerSettings, WorkerSettings):
        with pytest.raises(ValidationError, match="cannot be listed; it lists hub names such as distilbert"):
            settings()


def test_folders_are_those_that_links_and_dots_lead_to(tmp_path: Path) -> None:
    inside, outside = tmp_path / "models" / "team" / "stars", tmp_path / "models-of-others" / "stars"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    (tmp_path / "models" / "link").symlink_to(outside)
    (tmp_path / "way-in").symlink_to(inside)
    (tmp_path / "round").symlink_to("round")
    allowed = read_allowed_models(str(tmp_path / "models"))
    for folder in (inside, tmp_path / "models", tmp_path / "way-in", outside / ".." / ".." / "models" / "team"):
        assert allowed.allows_folder(folder), folder
    for folder in (
        outside,
        tmp_path,
        tmp_path / "models" / "link",
        tmp_path / "models" / ".." / "models-of-others" / "stars",
        tmp_path / "round",
        Path("models"),
    ):
        assert not allowed.allows_folder(folder), folder


def test_a_listed_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "disk" / "stars").mkdir(parents=True)
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert read_allowed_models(str(tmp_path / "models")).allows_folder(tmp_path / "disk" / "stars")


def test_a_folder_whose_weights_are_linked_from_elsewhere_is_refused(tmp_path: Path) -> None:
    for folder in ("models/stars", "models/blobs", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    allowed = read_allowed_models(str(tmp_path / "models"))
    weights = tmp_path / "models" / "stars" / "model.safetensors"
    weights.symlink_to(tmp_path / "models" / "blobs" / "0123")
    assert allowed.allows_folder(weights.parent)
    weights.unlink()
    weights.symlink_to(tmp_path / "elsewhere" / "0123")
    assert not allowed.allows_folder(weights.parent)


def test_a_refusal_lists_what_is_allowed(tmp_path: Path) -> None:
    allowed = read_allowed_models(f"distilbert/*, {tmp_path}")
    told = f"the model evil/x is not allowed here; REVIEWMILL_ALLOWED_MODELS allows distilbert/\\*, {tmp_path}$"
    with pytest.raises(ModelNotAllowed, match=told):
        allowed.check_name("evil/x")
