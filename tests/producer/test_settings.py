import pytest
from pydantic import ValidationError

from producer.settings import ProducerSettings


def test_the_defaults(monkeypatch):
    monkeypatch.delenv("REVIEWMILL_MAX_REVIEW_CHARS", raising=False)
    monkeypatch.delenv("REVIEWMILL_CHUNK_SIZE", raising=False)
    settings = ProducerSettings()
    assert (settings.max_review_chars, settings.chunk_size) == (100_000, 1000)


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "50")
    assert ProducerSettings().chunk_size == 50


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_REVIEW_CHARS", "0"), ("CHUNK_SIZE", "0"), ("CHUNK_SIZE", "100001"), ("CHUNK_SIZE", "many")],
)
def test_a_value_out_of_range_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"REVIEWMILL_{name}", value)
    with pytest.raises(ValidationError):
        ProducerSettings()


def test_every_setting_is_described():
    assert all(field.description for field in ProducerSettings.model_fields.values())
