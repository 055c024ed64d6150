"""Settings of the worker room."""

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_dir
from pydantic import BeforeValidator, ByteSize, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.secret_files import SecretFile, either
from db.settings import AllowedModelsSettings

LAST_PORT = 65_535
#: A port that is set to nothing is none.
Port = Annotated[int, BeforeValidator(lambda value: value or 0), Field(ge=0, le=LAST_PORT)]


def _auto_or_bytes(value: object) -> object:
    if value == "auto":
        return value
    try:
        size = int(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError:
        size = 0
    if size < 1:
        raise ValueError("it must be auto, or a size such as 4GiB or 800MB")
    return size


class LogSettings(BaseSettings):
    """How a process logs."""

    model_config = SettingsConfigDict(env_prefix="REVIEWMILL_")

    log_format: Literal["console", "json"] = Field(
        default="console", description="How logs are written: for people, or one JSON object a line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged: this and all that is worse. Of libraries only warnings are."
    )


class WorkerSettings(LogSettings, AllowedModelsSettings):
    """How a worker works."""

    home: Path = Field(
        default_factory=lambda: Path(user_data_dir("reviewmill")),
        description="Folder of the default database, the models and the embedded stack.",
    )
    devices: str = Field(
        default="auto",
        description="Devices of `reviewmill worker`: auto, cpu, GPU numbers such as 0,1, or UUIDs, each with queues of "
        "its own as in 0:score,1:train.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="Processes that `reviewmill worker` starts on the CPU, each pinned to its share of the cores; 1 "
        "takes all of them.",
    )
    engine: Literal["auto", "openvino", "onnx", "tensorflow", "null"] = Field(
        default="auto",
        description="What scores: auto is openvino or onnx on CPUs, whichever is faster in a precision, and tensorflow "
        "on GPUs; onnx computes in int8 only, and leaves float32 to openvino. null makes answers up, to measure "
        "everything around an engine.",
    )
    engines: Path | None = Field(
        default=None,
        description="Folder of the graphs built for this machine; by default engines/ in REVIEWMILL_HOME.",
    )
    precision: Literal["auto", "int8", "bfloat16", "float32"] = Field(
        default="auto",
        description="Number format of scoring on CPUs: auto takes the fastest that says what float32 says (see the "
        "guard's limits); any other is taken unasked.",
    )
    search_from: int = Field(
        default=5_000,
        ge=1,
        description="Rows of a job from which a precision and a token budget are looked for; smaller jobs are not "
        "worth the search.",
    )
    guard_texts: int = Field(default=500, ge=1, description="Texts of the job that a lower precision is compared on.")
    guard_sure_margin: float = Field(
        default=0.2, ge=0.0, le=1.0, description="Margin between the two likeliest labels from which float32 is sure."
    )
    guard_sure_flips: float = Field(
        default=0.001, ge=0.0, le=1.0, description="Share of the sure reviews whose label may change."
    )
    guard_mean_drift: float = Field(default=0.015, ge=0.0, description="Mean change of a probability that is allowed.")
    guard_p99_drift: float = Field(default=0.08, ge=0.0, description="Its 99th percentile that is allowed.")
    guard_accuracy_drop: float = Field(
        default=0.005, ge=0.0, description="Share of held-out examples that may be lost, where labels are known."
    )
    token_budget: Literal["auto"] | Annotated[int, Field(ge=64)] = Field(
        default="auto",
        description="Tokens that are inferred at once, padding included: of one batch, or of those of all cores where "
        "each infers its own. More takes memory and, up to a point, is faster: auto finds that point for each model at "
        "its first large job, and is 2048 until then.",
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
    model_memory: Annotated[Literal["auto"] | int, BeforeValidator(_auto_or_bytes)] = Field(
        default="auto",
        description="Memory that the models of one worker process may take together, in bytes or as 4GiB; those used "
        "longest ago are forgotten for a new one. auto is half of the memory of the GPU, machine or container.",
    )
    checkpoint_s: float = Field(
        default=120.0,
        gt=0.0,
        description="Seconds of fine-tuning between two saved states, which a training cut short goes on from. "
        "A state is saved at every epoch's end too.",
    )

    notify_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What signs notifications of a job's end, the same for those who enqueue, for workers and for "
        "receivers. Without it none are posted by this process.",
    )
    notify_secret_file: SecretFile | None = Field(
        default=None, description="File that holds that secret, instead of REVIEWMILL_NOTIFY_SECRET."
    )

    @property
    def signing_secret(self) -> str:
        """What signs notifications, or nothing. Raises DatabaseError where two settings tell of it."""
        return either("REVIEWMILL_NOTIFY_SECRET", self.notify_secret.get_secret_value(), self.notify_secret_file)

    metrics_port: Port = Field(
        default=0,
        description="Port of /metrics, for Prometheus, of the first worker process of a machine; each further one has "
        "the next. 0: none.",
    )
    metrics_address: str = Field(
        default="127.0.0.1",
        description="Address that /metrics listens on; 0.0.0.0 lets other machines ask, whoever they are.",
    )

    @property
    def first_token_budget(self) -> int:
        """The tokens of one batch as long as nothing else was found out."""
        return self.token_budget if isinstance(self.token_budget, int) else 2048

    @property
    def engines_dir(self) -> Path:
        """Where what is built of models for this machine is kept."""
        return (self.engines or self.home / "engines").absolute()

    @property
    def models_dir(self) -> Path:
        """Where fine-tuned models are saved."""
        return self.home.absolute() / "models"
