"""Settings of the database room."""

from pathlib import Path

from platformdirs import user_data_dir
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.allowed_models import AllowedModels, read_allowed_models


class DatabaseSettings(BaseSettings):
    """Where the truth is kept."""

    model_config = SettingsConfigDict(env_prefix="REVIEWMILL_")

    home: Path = Field(
        default_factory=lambda: Path(user_data_dir("reviewmill")),
        description="Folder of the default database, the models and the embedded stack.",
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL, sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME. Empty: SQLite in the home.",
    )

    @property
    def url(self) -> str:
        """The URL in force."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'reviewmill.db'}"


class AllowedModelsSettings(BaseSettings):
    """What producers and workers are both to be told: producers refuse early, workers for good."""

    model_config = SettingsConfigDict(env_prefix="REVIEWMILL_")

    allowed_models: str = Field(
        default="",
        description="Models that may be loaded: hub names such as distilbert/* or OWNER/NAME, minilm, store, and "
        "absolute folders with all that is below them, with commas between. Empty: all. For commands and workers.",
    )

    @field_validator("allowed_models")
    @classmethod
    def _check_allowed(cls, listed: str) -> str:
        read_allowed_models(listed)
        return listed

    @property
    def allowed(self) -> AllowedModels:
        """The models that may be loaded."""
        return read_allowed_models(self.allowed_models)
