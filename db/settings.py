"""Settings of the database room."""

from pathlib import Path

from platformdirs import user_data_dir
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    model_store: str = Field(
        default="",
        description="Where the files of models are kept for all machines: a directory, or an fsspec URL such as "
        "s3://BUCKET/PREFIX. Empty: where they are, in folders that every machine must see under the same path.",
    )

    @property
    def url(self) -> str:
        """The URL in force."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'reviewmill.db'}"

    @property
    def models_cache(self) -> Path:
        """This machine's copies of models that are in the store."""
        return self.home.absolute() / "models-cache"
