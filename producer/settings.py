"""This room's settings, read from `REVIEWMILL_*` environment variables."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from db.secret_files import SecretFile, either
from db.settings import AllowedModelsSettings


class ProducerSettings(AllowedModelsSettings):
    """How reviews are read and cut; a value outside its range raises pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_prefix="REVIEWMILL_")

    max_review_chars: int = Field(
        default=100_000,
        gt=0,
        description="Longest review text accepted, in characters (Unicode code points); a longer one, "
        "in the text or the pair column, becomes a failed row.",
    )
    max_unpacked_ratio: int = Field(
        default=200,
        ge=1,
        description="How many times its size an archive, or the columns of a parquet file, may unpack to, beyond the "
        "first 64 MiB. What unpacks further is not read.",
    )
    chunk_size: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Reviews in one chunk, the unit that a worker claims and retries, as a count of rows.",
    )
    notify_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What signs notifications of a job's end, the same for those who enqueue, for workers and for "
        "receivers. Without it `--notify` is refused.",
    )
    notify_secret_file: SecretFile | None = Field(
        default=None, description="File that holds that secret, instead of REVIEWMILL_NOTIFY_SECRET."
    )

    @property
    def signing_secret(self) -> str:
        """What signs notifications, or nothing. Raises DatabaseError where two settings tell of it."""
        return either("REVIEWMILL_NOTIFY_SECRET", self.notify_secret.get_secret_value(), self.notify_secret_file)
