"""Settings of the worker room."""

from pathlib import Path

from platformdirs import user_data_dir
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """How a worker works."""

    model_config = SettingsConfigDict(env_prefix="REVIEWMILL_")

    home: Path = Field(
        default_factory=lambda: Path(user_data_dir("reviewmill")),
        description="Folder of the default database, the models and the embedded stack.",
    )
    devices: str = Field(
        default="auto", description="Devices of `reviewmill worker`: auto, cpu, or GPU numbers such as 0,1."
    )
    token_budget: int = Field(
        default=4096,
        ge=64,
        description="Tokens of one batch, padding included. More is faster and takes memory.",
    )
    chunk_size: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Reviews of one chunk; chunks of at most half as many are worked on together, up to it.",
    )
    lease_s: float = Field(
        default=60.0,
        ge=2.0,
        description="Seconds a claim holds without renewal before others may take the chunk.",
    )
    sweep_s: float = Field(
        default=5.0, gt=0.0, description="Seconds between two looks for chunks whose message was lost."
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        description="Errors of its own before a chunk is given up, and deaths of its worker before it is split.",
    )
    models_in_memory: int = Field(default=2, ge=1, description="Models a worker keeps loaded.")

    checkpoint_s: float = Field(
        default=120.0,
        gt=0.0,
        description="Seconds of fine-tuning between two saved states, which a training cut short goes on from. "
        "A state is saved at every epoch's end too.",
    )

    @property
    def models_dir(self) -> Path:
        """Where fine-tuned models are saved."""
        return self.home.absolute() / "models"
