"""What a person asks of a fine-tuning, at the command line or in Python, and the job that is made of it."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.database import Database
from db.jobs import NewJob
from producer.checkpoints import DEFAULT_BASE, BaseCheckpoint, find_base, find_or_add_model
from producer.distillation import (
    DEFAULT_LABEL_WEIGHT,
    DEFAULT_TEMPERATURE,
    Distillation,
    check_teacher,
    taught_columns,
)
from producer.enqueue import Doorway, TrainingPlan
from producer.errors import OptionError
from producer.failure_limit import FailureLimit
from producer.names import check_name
from producer.reviews_request import Tell, find_label, find_text, open_told
from producer.rows import Columns, check_columns
from producer.sources import PartsSource, Source
from producer.sources.labels import LabelsSource
from producer.training_options import METRICS, check_numbers
from producer.training_set import TrainingSources

#: Of the source, for validation and for test each, unless something else is said.
_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """A fine-tuning in a person's words; None where nothing was said.

    `labels` are the columns with labels. A split comes from a source of its own or is a share of the `sources`, 0 to 1;
    what the plan says of shares and patience gives way to what is said here. `notify` was let pass by `check_notify`.
    The rest is as in ReviewsRequest, Columns, TrainingPlan and Distillation.
    """

    sources: Sequence[str]
    plan: TrainingPlan
    text: str | None = None
    labels: Sequence[str] = ()
    pair: str | None = None
    multi_label: bool = False
    regression: bool = False
    base: str | None = None
    teacher: str | None = None
    distill_temperature: float | None = None
    label_weight: float | None = None
    validation: str | None = None
    test: str | None = None
    validation_split: float | None = None
    test_split: float | None = None
    patience: int | None = None
    encoding: str | None = None
    delimiter: str | None = None
    limit: int | None = None
    max_failures: FailureLimit | None = None
    notify: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """A fine-tuning that can be done: its sources can be read, and its base and its teacher are there."""

    sources: TrainingSources
    columns: Columns
    base: BaseCheckpoint
    plan: TrainingPlan
    distillation: Distillation | None
    asked: TrainingRequest

    def prepare(self, doorway: Doorway, _earlier: Collection[int] | None = None) -> NewJob:
        """Read and check everything; the job is not there before it is enqueued. Raises as preparing it does.

        All of it is learned from, whatever a model version has scored before.
        """
        job = doorway.prepare_finetuning(
            self.sources,
            self.columns,
            self.base,
            self.plan,
            distillation=self.distillation,
            limit=self.asked.limit,
            max_failures=self.asked.max_failures,
        )
        return replace(job, notify=self.asked.notify)


def find_training(database: Database, asked: TrainingRequest, tell: Tell) -> Training:
    """Look for all that is named. Raises OptionError, SourceError, ColumnError, GuessError, ModelError and others."""
    check_name("model", asked.plan.name)
    plan = _plan(asked)
    _problem_type(asked)
    sources = _open(database, asked, tell)
    asked = as_people_labelled(asked, sources.train, tell)
    problem_type = _problem_type(asked)
    columns = _columns(sources, asked, problem_type, tell)
    distillation = _distillation(database, asked)
    base = asked.base
    if distillation is not None:
        columns = taught_columns(columns, distillation.teacher)
        base = base or distillation.teacher.reference
    return Training(sources, columns, find_base(database, base or DEFAULT_BASE), plan, distillation, asked)


def as_people_labelled(asked: TrainingRequest, source: Source, tell: Tell) -> TrainingRequest:
    """The request with what a source of people's labels tells by itself, where nothing else was said."""
    told = _of_people(source)
    if told is None:
        return asked
    is_said = asked.multi_label or asked.regression
    several = not is_said and told.problem_type == MULTI_LABEL
    number = not is_said and told.problem_type == REGRESSION
    if several or number:
        tell(f"{told.name} holds such labels, so this is {'--multi-label' if several else '--regression'}")
    return replace(
        asked,
        text=asked.text or told.text,
        pair=asked.pair or told.pair,
        labels=asked.labels or (() if asked.teacher else (told.label,)),
        multi_label=asked.multi_label or several,
        regression=asked.regression or number,
    )


def _of_people(source: Source) -> LabelsSource | None:
    sources = [part.source for part in source.parts] if isinstance(source, PartsSource) else [source]
    return next((one for one in sources if isinstance(one, LabelsSource)), None)


def _problem_type(asked: TrainingRequest) -> str:
    labels = tuple(asked.labels)
    if asked.multi_label and asked.regression:
        raise OptionError("--multi-label and --regression exclude each other: a label is a name or a number")
    if len(labels) > 1 and not asked.multi_label:
        raise OptionError("several --label columns are the labels of --multi-label; add it, or name one column")
    if len(set(labels)) < len(labels):
        raise OptionError("a --label column is named twice")
    return MULTI_LABEL if asked.multi_label else REGRESSION if asked.regression else SINGLE_LABEL


def _columns(sources: TrainingSources, asked: TrainingRequest, problem_type: str, tell: Tell) -> Columns:
    """The columns, which all sources have."""
    labels = tuple(asked.labels)
    text = find_text(sources.train, asked.text, (asked.pair, *labels), tell)
    if not labels and asked.teacher is None:
        labels = (find_label(sources.train, (text, asked.pair), tell),)
    columns = Columns(text=text, pair=asked.pair, problem_type=problem_type)
    several = len(labels) > 1
    columns = replace(columns, indicators=labels) if several else replace(columns, label=next(iter(labels), None))
    for source in sources.by_split().values():
        check_columns(source, columns)
    return columns


def _plan(asked: TrainingRequest) -> TrainingPlan:
    if asked.patience is not None and asked.plan.early_stopping is None:
        raise OptionError(f"--patience is for --early-stopping; add it ({', '.join(METRICS)}), or leave both out")
    plan = replace(
        asked.plan,
        validation_share=_share("validation", asked.validation, asked.validation_split),
        test_share=_share("test", asked.test, asked.test_split),
        patience=1 if asked.patience is None else asked.patience,
    )
    check_numbers(asdict(plan))
    return plan


def _share(split: str, source: str | None, share: float | None) -> float:
    """The share of the source that serves as a split: none where the split has a source of its own."""
    if source is None:
        return _SHARE if share is None else share
    if share is not None:
        raise OptionError(f"--{split} and --{split}-split exclude each other: give a source or a share")
    return 0.0


def _open(database: Database, asked: TrainingRequest, tell: Tell) -> TrainingSources:
    beside = {split: [name] for split in ("validation", "test") if (name := getattr(asked, split)) is not None}
    opened = {
        split: open_told(*names, encoding=asked.encoding, delimiter=asked.delimiter, tell=tell, database=database)
        for split, names in {"train": asked.sources, **beside}.items()
    }
    return TrainingSources(**opened)


def _distillation(database: Database, asked: TrainingRequest) -> Distillation | None:
    """What is asked of a teacher; None without one."""
    said = {"distill_temperature": asked.distill_temperature, "label_weight": asked.label_weight}
    if asked.teacher is None:
        for name, value in said.items():
            if value is not None:
                option = name.replace("_", "-")
                raise OptionError(f"--{option} is for a student; name its --teacher, or leave it out")
        return None
    check_numbers(said)
    teacher = find_or_add_model(database, asked.teacher)
    check_teacher(teacher)
    if asked.distill_temperature is not None and teacher.problem_type != SINGLE_LABEL:
        raise OptionError(
            f"--distill-temperature is for labels that exclude one another, and {teacher.reference} is made for "
            f"{teacher.problem_type.replace('_', ' ')}; leave it out"
        )
    return Distillation(
        teacher,
        DEFAULT_TEMPERATURE if asked.distill_temperature is None else asked.distill_temperature,
        DEFAULT_LABEL_WEIGHT if asked.label_weight is None else asked.label_weight,
    )
