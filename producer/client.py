"""Reviewmill for Python programs: `from producer import Client`."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from types import TracebackType
from typing import Literal, Self, get_args

import structlog

from db.jobs import job_status
from db.results import Result, unscored_texts
from db.tables import PRECISIONS, PRIORITIES, READINGS
from producer.checkpoints import find_or_add_model
from producer.enqueue import TrainingPlan
from producer.errors import OptionError
from producer.failure_limit import FailureLimit, read_failure_limit
from producer.job import Job
from producer.notify import check_notify
from producer.reviews_request import ReviewsRequest, find_reviews
from producer.rows import Columns
from producer.scoring_request import Scoring, ScoringOptions
from producer.session import Session
from producer.sources import Source
from producer.sources.texts import PAIR, TEXT, TextsSource
from producer.training_request import TrainingRequest, find_training

Priority = Literal["high", "normal", "low"]
Precision = Literal["auto", "int8", "bfloat16", "float32"]
Reading = Literal["truncate", "head-tail", "window"]
assert get_args(Priority) == PRIORITIES
assert get_args(Precision) == PRECISIONS
assert get_args(Reading) == READINGS
#: One source, or several.
Sources = str | PathLike[str] | Sequence[str | PathLike[str]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unscored:
    """A text that has no result, and why."""

    text: str
    reason: str


class Client:
    """Enqueues jobs and reads what comes of them, as the commands do and with their settings.

    Without a Redis of a team's own (`redis_url`, or REVIEWMILL_REDIS_URL) an embedded stack does the work on this
    machine: as long as somebody waits for a job, or all through a `with Client() as client:` block, which keeps the
    models in memory between jobs. A stack that runs already, of `reviewmill up` say, is shared; one that works for
    another database is refused with a StackError.

    `database_url` is as in REVIEWMILL_DATABASE_URL; None takes the settings'. Raises DatabaseUnreachable,
    SchemaMismatch for a server's tables of another version, and pydantic's ValidationError for a setting that is wrong.
    A method that refuses what it was given has enqueued nothing; errors are ProducerError, DatabaseError, BrokerError.
    """

    def __init__(self, database_url: str | None = None, redis_url: str | None = None) -> None:
        self._session = Session(database_url, redis_url)

    def __enter__(self) -> Self:
        self._session.hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the stack of a `with` block go, and close every connection."""
        self._session.close()

    def job(self, job_id: int) -> Job:
        """A job of before, by its number. Raises UnknownJob."""
        with self._session.database.read() as connection:
            job_status(connection, job_id)
        return Job(job_id, self._session)

    def score(
        self,
        source: Sources,
        *,
        text: str,
        id: str | None = None,  # noqa: A002 (as the option is called)
        pair: str | None = None,
        keep: Sequence[str] = (),
        name: str | None = None,
        model: str | None = None,
        priority: Priority = "normal",
        precision: Precision | None = None,
        long: Reading = "truncate",
        encoding: str | None = None,
        delimiter: str | None = None,
        limit: int | None = None,
        max_failures: int | str | None = None,
        notify: str | None = None,
    ) -> Job:
        """Enqueue the scoring of every row of a source, and return the job at once.

        `source` is what `reviewmill score` takes, such as a file's path, or several that are read one after the other;
        `name` is what the reviews are stored under, None for the source's own. `text`, `id`, `pair` and `keep` name
        columns; without an id the text makes one. `model` is NAME, NAME@VERSION, NAME@ALIAS, a directory or a hub id,
        None the hub's default. `precision` None leaves it to the workers' settings. `long` says how texts beyond the
        model's limit are read. `limit` is the most rows read, `max_failures` the most that may be bad: a number, or a
        share such as "2.5%". `notify` is a URL that is told of the job's end.

        Reading takes as long as the source is large. Raises SourceError, ColumnError, TooManyFailures, ModelError,
        UnknownModel, CheckpointError, OptionError, LimitError, NotifyError and RedisUnreachable.
        """
        asked = ReviewsRequest(
            sources=_specs(source),
            text=text,
            id=id,
            pair=pair,
            keep=keep,
            name=name,
            encoding=encoding,
            delimiter=delimiter,
        )
        options = ScoringOptions(
            model=model,
            priority=priority,
            precision=precision,
            long=long,
            limit=limit,
            max_failures=_failure_limit(max_failures),
            notify=notify,
        )
        return self._score(*find_reviews(asked, _log, self._session.database), options)

    def score_texts(
        self,
        texts: Sequence[str],
        *,
        model: str,
        pairs: Sequence[str] | None = None,
        source: str = "texts",
        priority: Priority = "normal",
        precision: Precision | None = None,
        timeout: float | None = None,
    ) -> list[Result | Unscored]:
        """Score texts at hand, wait for it, and return what becomes of each, in their order.

        For small calls: all are held in memory, and a stack that has to be started, or a model to be loaded, takes
        seconds; see `with` above. A text that cannot be scored, an empty one say, is an Unscored with its reason.
        Texts that are alike share one result. They are stored as reviews of `source`. `timeout` is in seconds.

        Raises as `score` and `Job.wait` do; after a TimeoutError the job is still there, and a later call with the
        same texts reuses what was scored.
        """
        if not texts:
            return []
        reviews = TextsSource(source, texts, pairs)
        columns = Columns(text=TEXT, pair=None if pairs is None else PAIR)
        with self._session.stack():
            job = self._score(reviews, columns, ScoringOptions(model=model, priority=priority, precision=precision))
            job.wait(timeout)
        seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else pairs
        return self._answers(job, list(zip(texts, seconds, strict=True)))

    def finetune(
        self,
        source: Sources,
        *,
        text: str,
        name: str,
        label: str | Sequence[str] = (),
        pair: str | None = None,
        multi_label: bool = False,
        regression: bool = False,
        base: str | None = None,
        layers: int | None = None,
        teacher: str | None = None,
        distill_temperature: float | None = None,
        label_weight: float | None = None,
        epochs: int = 1,
        batch_size: int = 16,
        accumulate: int = 1,
        learning_rate: float = 5e-5,
        max_length: int | None = None,
        dropout: float | None = None,
        keep_head: bool = False,
        validation: str | None = None,
        test: str | None = None,
        validation_split: float | None = None,
        test_split: float | None = None,
        calibrate: bool = False,
        class_weights: Literal["none", "balanced"] = "none",
        freeze: bool = False,
        lora_rank: int | None = None,
        early_stopping: Literal["loss", "accuracy", "macro_f1", "mae"] | None = None,
        patience: int | None = None,
        seed: int = 0,
        encoding: str | None = None,
        delimiter: str | None = None,
        limit: int | None = None,
        max_failures: int | str | None = None,
        notify: str | None = None,
    ) -> Job:
        """Enqueue the fine-tuning of a new version of the model `name`, and return the job at once.

        The options are those of `reviewmill finetune`, and have its names and defaults; several columns of 0 and 1 are
        a sequence of labels. `max_length` is in tokens, `batch_size` in texts, the splits, `dropout` and `label_weight`
        are shares from 0 to 1. What the data is like is in `status().params["data"]`; the version that was made is
        `status().model`, as NAME@VERSION.

        Raises as `score` does, and LabelError, ExampleError, TeacherError and CalibrationError.
        """
        _check_limit(limit)
        plan = TrainingPlan(
            name=name,
            epochs=epochs,
            batch_size=batch_size,
            accumulate=accumulate,
            learning_rate=learning_rate,
            max_length=max_length,
            dropout=dropout,
            seed=seed,
            keep_head=keep_head,
            calibrate=calibrate,
            class_weights=class_weights,
            layers=layers,
            freeze=freeze,
            lora_rank=lora_rank,
            early_stopping=early_stopping,
        )
        asked = TrainingRequest(
            sources=_specs(source),
            text=text,
            plan=plan,
            labels=(label,) if isinstance(label, str) else tuple(label),
            pair=pair,
            multi_label=multi_label,
            regression=regression,
            base=base,
            teacher=teacher,
            distill_temperature=distill_temperature,
            label_weight=label_weight,
            validation=validation,
            test=test,
            validation_split=validation_split,
            test_split=test_split,
            patience=patience,
            encoding=encoding,
            delimiter=delimiter,
            limit=limit,
            max_failures=_failure_limit(max_failures),
            notify=check_notify(notify, self._session.settings),
        )
        doorway = self._session.doorway()
        training = find_training(self._session.database, asked, _log)
        return Job(doorway.enqueue(training.prepare(doorway)), self._session)

    def _score(self, reviews: Source, columns: Columns, options: ScoringOptions) -> Job:
        _check_one_of("priority", options.priority, PRIORITIES)
        _check_one_of("precision", options.precision, (None, *PRECISIONS))
        _check_one_of("long", options.long, READINGS)
        _check_limit(options.limit)
        check_notify(options.notify, self._session.settings)
        doorway = self._session.doorway()
        model = find_or_add_model(self._session.database, options.model)
        scoring = Scoring(reviews, columns, model, options)
        return Job(doorway.enqueue(scoring.prepare(doorway)), self._session)

    def _answers(self, job: Job, texts: Sequence[tuple[str, str | None]]) -> list[Result | Unscored]:
        """What became of each text of a job that is done."""
        scored = {(result.text, result.text_pair): result for result in job.results()}
        with self._session.database.read() as connection:
            refused, failed = unscored_texts(connection, job.id)

        def answer(row: int, text: str, pair: str | None) -> Result | Unscored:
            if row in refused:
                return Unscored(text, refused[row])
            return scored.get((text, pair)) or Unscored(text, failed[text, pair])

        return [answer(row, *both) for row, both in enumerate(texts, start=1)]


def _specs(source: Sources) -> list[str]:
    return [fspath(source)] if isinstance(source, str | PathLike) else [fspath(one) for one in source]


def _failure_limit(said: int | str | None) -> FailureLimit | None:
    return None if said is None else read_failure_limit(str(said))


def _log(words: str) -> None:
    log.info(words, action="source_guessed")


def _check_one_of(name: str, value: str | None, allowed: Sequence[str | None]) -> None:
    if value not in allowed:
        raise OptionError(f"the {name} {value!r} is not one of {', '.join(one for one in allowed if one is not None)}")


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise OptionError(f"the limit {limit!r} is not a whole number from 1")
