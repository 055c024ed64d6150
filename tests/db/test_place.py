"""A database's place is the same however its URL is written, and holds no password."""

from pathlib import Path

import pytest

from db.database import Database, place_of
from db.errors import DatabaseError


def test_one_place_for_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of("sqlite:///a.db") == place_of(f"sqlite:///{tmp_path / 'a.db'}") == str(tmp_path / "a.db")
    spellings = ("postgresql://me:geheim@db/reviews", "postgresql+psycopg://me@db/reviews")
    assert {place_of(url) for url in spellings} == {"postgresql+psycopg://me@db/reviews"}
    assert place_of("postgresql://me@db:5433/reviews") != place_of(spellings[0])
    with pytest.raises(DatabaseError):
        place_of("nonsense")


def test_no_secret_is_part_of_a_place() -> None:
    url = "postgresql://me:s3cret@db:5432/mill?sslpassword=s3cret&host=/run&passfile=s3cret&application_name=mill"
    for place in (place_of(url), Database(url).place):
        assert "s3cret" not in place
        assert "host=%2Frun" in place
        assert "application_name=mill" in place
