"""The tables. They are public: people query them, so names and meanings are kept."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, MetaData, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.clock import UtcDateTime, utc_now
from db.labels import MAX_LABEL_CHARS

#: SQLite only gives automatic ids to INTEGER keys; PostgreSQL needs 64 bits for ids by the billion.
Id = BigInteger().with_variant(Integer, "sqlite")
#: PostgreSQL's binary form is the one it can index and search.
Json = JSON().with_variant(JSONB(), "postgresql")

PRIORITIES = ("high", "normal", "low")
#: What a person may order; auto leaves it to the guard.
PRECISIONS = ("auto", "int8", "bfloat16", "float32")
#: How a text that is longer than its model's limit may be read; one that fits is read whole, whatever is asked.
TRUNCATE, HEAD_TAIL, WINDOW = "truncate", "head-tail", "window"
READINGS = (TRUNCATE, HEAD_TAIL, WINDOW)
WHOLE = "whole"
#: The longest name of whoever labels reviews, in characters.
MAX_ANNOTATOR_CHARS = 255
#: Stands in `chunks.review_ids` for a review that was deleted; no row has this id.
FORGOTTEN = 0


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of it on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: UtcDateTime(), dict[str, Any]: Json, list[Any]: Json}


class Review(Base):
    """One text (or pair of texts) of one source. A changed text is a new row; the newest is current."""

    __tablename__ = "reviews"
    __table_args__ = (UniqueConstraint("source", "external_id", "text_hash"), Index(None, "text_hash"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(String(512))
    external_id: Mapped[str] = mapped_column(String(512))
    text: Mapped[str] = mapped_column(Text)
    text_pair: Mapped[str | None] = mapped_column(Text)
    text_hash: Mapped[str] = mapped_column(String(64))
    # "metadata" is the column's public name; SQLAlchemy keeps the attribute for itself.
    extra: Mapped[dict[str, Any] | None] = mapped_column("metadata", Json)
    created_at: Mapped[datetime] = mapped_column(default=utc_now())


class Model(Base):
    """One immutable version of a classifier. Only its aliases ever change."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("name", "version"), Index(None, "digest"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[int]
    base: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))  # hub, directory or finetuned
    family: Mapped[str] = mapped_column(String(32))
    labels: Mapped[list[Any]]
    problem_type: Mapped[str] = mapped_column(String(32))
    max_tokens: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: How a fine-tuned version was made: see worker.training.provenance. Empty for what was made elsewhere.
    provenance: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    aliases: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now())


class Schedule(Base):
    """A command that runs by the clock: `cron` as it is read in `timezone`, an IANA name.

    `params` holds the command's `arguments` as they were given, the `directory` that their paths start from, whether
    runs `overlap` (skip or queue), and whether a scoring is to `rescore` what an earlier version scored.
    `next_run_at` is null while it is paused.
    """

    __tablename__ = "schedules"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    cron: Mapped[str] = mapped_column(String(255))
    timezone: Mapped[str] = mapped_column(String(64))
    command: Mapped[str] = mapped_column(String(32))  # score or finetune
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    enabled: Mapped[bool] = mapped_column(default=True)
    last_run_at: Mapped[datetime | None]
    next_run_at: Mapped[datetime | None]


class Job(Base):
    """One request: score a source, or fine-tune a model. `total` is the rows read, `rejected` those refused."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default="pending")  # running, done, failed, cancelled
    model_id: Mapped[int | None] = mapped_column(Id, ForeignKey("models.id"))
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    priority: Mapped[str] = mapped_column(String(16), default="normal")
    total: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    #: When a worker last took a chunk of it, by which the turns of jobs are told.
    served_at: Mapped[datetime | None]
    schedule_id: Mapped[int | None] = mapped_column(Id, ForeignKey("schedules.id"))


class ScheduleRun(Base):
    """One time that a schedule fired, and what came of it.

    A run that is `waiting` is taken under a lease and fenced by its attempt, as a chunk is; `running` means that its
    source is read. It ends `enqueued`, with its job, in the transaction that makes the job; or `failed` or `skipped`,
    with the reason. `skipped` counts the rows left out because they were scored before, `deaths` the processes that
    were not heard of again while they read.
    """

    __tablename__ = "schedule_runs"
    __table_args__ = (
        UniqueConstraint("schedule_id", "scheduled_for"),
        Index(None, "schedule_id", "id"),
        Index(None, "state"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    schedule_id: Mapped[int] = mapped_column(Id, ForeignKey("schedules.id", ondelete="CASCADE"))
    scheduled_for: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="waiting")  # running, enqueued, skipped, failed
    rescore: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[datetime | None]
    job_id: Mapped[int | None] = mapped_column(Id, ForeignKey("jobs.id", ondelete="SET NULL"))
    skipped: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now())
    finished_at: Mapped[datetime | None]


class Chunk(Base):
    """The unit of work: claimed under a lease, finished once.

    `attempt` counts claims and is the fencing token. `errors` counts attempts that failed at the chunk's own
    work, `deaths` those whose worker was not heard of again; neither counts a database or a disk that was away.
    Small chunks may be held together: `lead_id` is then the chunk whose message led to all of them. One is worked on
    `alone` once a worker has died that held it with others. The attempt that ended it computed for `device_s`
    seconds on `device`, and read `tokens` tokens in batches that were `batch_tokens` large with their padding.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        Index(None, "state", "next_attempt_at"),
        # Turns are told by the first three. With the counts, how far a job is can be added up without its chunks.
        Index(None, "job_id", "state", "position", "scored", "reused", "failed"),
        Index(None, "state", "size"),
        Index(None, "job_id", "last_id", "first_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="pending")  # leased, done, failed, cancelled
    attempt: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    rung_at: Mapped[datetime] = mapped_column(default=utc_now())
    errors: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    lead_id: Mapped[int | None] = mapped_column(Id)
    alone: Mapped[bool] = mapped_column(default=False)
    device: Mapped[str | None] = mapped_column(String(255))
    device_s: Mapped[float] = mapped_column(default=0.0)
    tokens: Mapped[int] = mapped_column(default=0)
    batch_tokens: Mapped[int] = mapped_column(default=0)
    size: Mapped[int]
    scored: Mapped[int] = mapped_column(default=0)
    reused: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    #: No review of the chunk has a smaller or a larger id. Those that have left it are within too.
    first_id: Mapped[int] = mapped_column(Id, default=0, server_default="0")
    last_id: Mapped[int] = mapped_column(Id, default=0, server_default="0")
    #: Ids of the chunk's reviews in source order, one per row read (a repeated row repeats its id).
    #: The last column, because SQLite reads past it to reach any that follows.
    review_ids: Mapped[list[Any]]


class JobCount(Base):
    """How many rows of a job were told one thing: those that got a label, or that were read in one way.

    `counted` is label or reading, and `value` is which. A chunk's rows, scored and reused, are added in the transaction
    that ends it, so that those of all labels come to the job's `scored + reused`. What another job says of the same
    reviews later changes nothing here.
    """

    __tablename__ = "job_counts"

    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    counted: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[str] = mapped_column(String(MAX_LABEL_CHARS), primary_key=True)
    count: Mapped[int]


class Prediction(Base):
    """What one model version says of one review: the top label, its score, and every label's probability."""

    __tablename__ = "predictions"
    __table_args__ = (
        # With the review, a page is in its order to the last row: the same short text gets the same score many times.
        Index(None, "model_id", "label", "score", "review_id"),
        Index(None, "model_id", "margin", "review_id"),
        Index(None, "job_id"),
    )

    review_id: Mapped[int] = mapped_column(Id, ForeignKey("reviews.id"), primary_key=True)
    model_id: Mapped[int] = mapped_column(Id, ForeignKey("models.id"), primary_key=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id"))
    label: Mapped[str] = mapped_column(String(MAX_LABEL_CHARS))
    score: Mapped[float]
    #: How sure the model is: see worker.verdicts.margins. Null for regression.
    margin: Mapped[float | None]
    probabilities: Mapped[dict[str, Any]]
    tokens: Mapped[int]
    truncated: Mapped[bool]
    #: The number format computed in: float32, or a lower one that was ordered or let pass by the guard.
    precision: Mapped[str] = mapped_column(String(32), default="float32", server_default="float32")
    #: whole, or how a text beyond the model's limit was read (READINGS), and the sequences it was read in.
    reading: Mapped[str] = mapped_column(String(16), default=WHOLE, server_default=WHOLE)
    windows: Mapped[int] = mapped_column(default=1, server_default="1")
    scored_at: Mapped[datetime] = mapped_column(default=utc_now())


class Failure(Base):
    """A row or review that could not be scored, and why. `row` is the line of the source."""

    __tablename__ = "failures"
    __table_args__ = (Index(None, "job_id"), Index(None, "review_id"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    review_id: Mapped[int | None] = mapped_column(Id, ForeignKey("reviews.id"))
    row: Mapped[int | None]
    external_id: Mapped[str | None] = mapped_column(String(512))
    stage: Mapped[str] = mapped_column(String(16))  # read or score
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now())


class TokenBudget(Base):
    """The tokens of one batch that a device takes of a model: found fastest, or all that its memory has room for.

    Holds for as long as the worker's setting is `configured`, 0 for auto: another setting is tried anew.
    """

    __tablename__ = "token_budgets"

    model_id: Mapped[int] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    device: Mapped[str] = mapped_column(String(255), primary_key=True)
    configured: Mapped[int]
    tokens: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(default=utc_now())


class Precision(Base):
    """The precision in which a model serves reviews of a source on a device, and how each that was tried did.

    `asked` is auto, or the precision that a person ordered; `build` names what was compared.
    """

    __tablename__ = "precisions"

    model_id: Mapped[int] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    device: Mapped[str] = mapped_column(String(255), primary_key=True)
    source: Mapped[str] = mapped_column(String(512), primary_key=True)
    asked: Mapped[str] = mapped_column(String(16), primary_key=True)
    build: Mapped[str] = mapped_column(String(64))
    chosen: Mapped[str] = mapped_column(String(32))
    rungs: Mapped[list[Any]]
    chosen_at: Mapped[datetime] = mapped_column(default=utc_now())


class Example(Base):
    """One review of a fine-tuning job, its label, and the split it serves in.

    The label of a multi-label job is every label of the review, joined by `|`; that of a regression a number. It is
    null where only a teacher tells what to learn.
    """

    __tablename__ = "examples"
    __table_args__ = (Index(None, "review_id"),)

    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    review_id: Mapped[int] = mapped_column(Id, ForeignKey("reviews.id"), primary_key=True)
    label: Mapped[str | None] = mapped_column(String(MAX_LABEL_CHARS))
    split: Mapped[str] = mapped_column(String(16))  # train, validation or test


class Correction(Base):
    """What a person says is right of a review, having seen what a model version says of it.

    There is one a review, version and annotator: the latest. `label` stands as that of an Example does, and so does
    `predicted`, what the version said; null where it said nothing.
    """

    __tablename__ = "corrections"
    __table_args__ = (Index(None, "model_id", "corrected_at"),)

    review_id: Mapped[int] = mapped_column(Id, ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[int] = mapped_column(Id, ForeignKey("models.id"), primary_key=True)
    annotator: Mapped[str] = mapped_column(String(MAX_ANNOTATOR_CHARS), primary_key=True)
    label: Mapped[str] = mapped_column(String(MAX_LABEL_CHARS))
    predicted: Mapped[str | None] = mapped_column(String(MAX_LABEL_CHARS))
    corrected_at: Mapped[datetime]


class TrainingMetric(Base):
    """One point of a training curve."""

    __tablename__ = "training_metrics"
    __table_args__ = (Index(None, "job_id", "step"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    step: Mapped[int]
    name: Mapped[str] = mapped_column(String(64))
    value: Mapped[float]
    at: Mapped[datetime] = mapped_column(default=utc_now())


class Notification(Base):
    """A URL to be told of one end of a job, and how the telling goes.

    It is `pending` until a receiver took it (`sent`) or will not any more (`failed`), and due once its job is over.
    `attempts` counts claims and is the fencing token. `delivery_id` is the same in every attempt, and no other's.
    """

    __tablename__ = "notifications"
    __table_args__ = (Index(None, "job_id"), Index(None, "state", "next_attempt_at"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(Text)
    delivery_id: Mapped[str] = mapped_column(String(32), default=lambda: uuid4().hex)
    state: Mapped[str] = mapped_column(String(16), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[datetime | None]
    status_code: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now())
    sent_at: Mapped[datetime | None]


class WorkerProcess(Base):
    """A process that works, or did until `seen_at`: on what device, for which queues, and how it gets on.

    `owner` is what its chunks have as `lease_owner`. Of each model in its memory `models` holds `model`, its reference,
    `precision` and `bytes`. `reviews_per_s` and `busy`, the share of the time that its device computed, are of the last
    minute. The times are the database's.
    """

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(String(255))
    queues: Mapped[list[Any]]
    engine: Mapped[str] = mapped_column(String(64))
    models: Mapped[list[Any]]
    version: Mapped[str] = mapped_column(String(64))
    reviews_per_s: Mapped[float]
    busy: Mapped[float]
    started_at: Mapped[datetime] = mapped_column(default=utc_now())
    seen_at: Mapped[datetime] = mapped_column(default=utc_now())
