"""What a person asks of a fine-tuning, at the command line or in Python, and the job that is made of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.database import Database
from db.jobs import NewJob
from producer.checkpoints import DEFAULT_BASE, find_base, find_or_add_model
from producer.distillation import (
    DEFAULT_LABEL_WEIGHT,
    DEFAULT_TEMPERATURE,
    Distillation,
    check_teacher,
    taught_columns,
)
from producer.enqueue import Doorway, TrainingPlan
from producer.errors import OptionError
from producer.rows import Columns, check_columns
from producer.sources import open_source
from producer.training_options import METRICS, check_numbers
from producer.training_set import TrainingSources

#: Of the source, for validation and for test each, unless something else is said.
_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """A fine-tuning in a person's words; None where nothing was said.

    `labels` are the columns with labels. A split comes from a source of its own or is a share of `source`, 0 to 1; what
    the plan says of shares and patience gives way to what is said here. The rest is as in Columns, TrainingPlan and
    Distillation.
    """

    source: str
    text: str
    plan: TrainingPlan
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
    limit: int | None = None


def prepare_training(doorway: Doorway, asked: TrainingRequest) -> NewJob:
    """Read and check all of it; nothing is enqueued yet. Raises OptionError, and as `Doorway.prepare_finetuning`."""
    if not asked.labels and asked.teacher is None:
        raise OptionError("Missing option '--label'; without labels name a --teacher to learn from")
    check_name(asked.plan.name)
    columns, plan = _columns(asked), _plan(asked)
    sources = _open(columns, asked)
    distillation = _distillation(doorway.database, asked)
    base = asked.base
    if distillation is not None:
        columns = taught_columns(columns, distillation.teacher)
        base = base or distillation.teacher.reference
    checkpoint = find_base(doorway.database, base or DEFAULT_BASE)
    return doorway.prepare_finetuning(sources, columns, checkpoint, plan, distillation=distillation, limit=asked.limit)


def check_name(name: str) -> None:
    """Raise OptionError for a name that would make no folder, or no reference before its @."""
    plain = name.replace(".", "").replace("_", "").replace("-", "")
    if not (plain.isascii() and plain.isalnum()) or name.startswith("."):
        raise OptionError(f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-'")


def _columns(asked: TrainingRequest) -> Columns:
    labels = tuple(asked.labels)
    if asked.multi_label and asked.regression:
        raise OptionError("--multi-label and --regression exclude each other: a label is a name or a number")
    if len(labels) > 1 and not asked.multi_label:
        raise OptionError("several --label columns are the labels of --multi-label; add it, or name one column")
    if len(set(labels)) < len(labels):
        raise OptionError("a --label column is named twice")
    problem_type = MULTI_LABEL if asked.multi_label else REGRESSION if asked.regression else SINGLE_LABEL
    columns = Columns(text=asked.text, pair=asked.pair, problem_type=problem_type)
    return replace(columns, indicators=labels) if len(labels) > 1 else replace(columns, label=next(iter(labels), None))


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


def _open(columns: Columns, asked: TrainingRequest) -> TrainingSources:
    named = {"train": asked.source, "validation": asked.validation, "test": asked.test}
    opened = {split: open_source(name) for split, name in named.items() if name is not None}
    for source in opened.values():
        check_columns(source, columns)
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
