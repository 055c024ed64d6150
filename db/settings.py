"""Settings of the database room."""

from pathlib import Path

from platformdirs import user_data_dir
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.allowed_models import AllowedModels, read_allowed_models
from db.errors import DatabaseError
from db.secret_files import SecretFile, either


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
    database_url_file: SecretFile | None = Field(
        default=None, description="File that holds that URL, instead of REVIEWMILL_DATABASE_URL."
    )
    database_password_file: SecretFile | None = Field(
        default=None, description="File that holds the password of the database's user, for a URL without one."
    )
    model_store: str = Field(
        default="",
        description="Where the files of models are kept for all machines: a directory, or an fsspec URL such as "
        "s3://BUCKET/PREFIX. Empty: where they are, in folders that every machine must see under the same path.",
    )

    @property
    def url(self) -> str:
        """The URL in force, password included. Raises DatabaseError where two settings tell of the same."""
        url = either("REVIEWMILL_DATABASE_URL", self.database_url, self.database_url_file)
        if self.database_password_file is not None:
            return _with_password(url, self.database_password_file)
        return url or f"sqlite:///{self.home.absolute() / 'reviewmill.db'}"

    @property
    def models_cache(self) -> Path:
        """This machine's copies of models that are in the store."""
        return self.home.absolute() / "models-cache"


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


def _with_password(url: str, password: SecretStr) -> str:
    # Reading a file loads no database.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(
            "REVIEWMILL_DATABASE_PASSWORD_FILE is set, so REVIEWMILL_DATABASE_URL must be a server's URL; "
            "write postgresql://USER@HOST:5432/NAME"
        ) from None
    if parsed.password is not None:
        raise DatabaseError("REVIEWMILL_DATABASE_PASSWORD_FILE is set, and the database's URL has a password too")
    return parsed.set(password=password.get_secret_value()).render_as_string(hide_password=False)
