"""`reviewmill finetune`: labelled reviews in, a new model version out."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

import click
from celery import Celery

from cli.columns import find_label, find_text, max_failures_option, text_option
from cli.distillation import distillation_options, read_distillation
from cli.output import json_option, notes
from cli.reading import open_reviews, reading_options
from cli.run_job import run_job
from cli.training_check import show_training_check
from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.schema import open_database
from db.training import STOPPING_METRICS
from producer.checkpoints import DEFAULT_BASE, find_base
from producer.distillation import taught_columns
from producer.enqueue import Doorway, TrainingPlan
from producer.failure_limit import FailureLimit
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings
from producer.sources import Source
from producer.training_options import CLASS_WEIGHTS
from producer.training_set import TrainingSources

#: Of SOURCE, for validation and for test each, unless something else is said.
_SHARE = 0.1
#: Far above what adapters need: the kernel that they stand beside has no higher rank a head.
_HIGHEST_RANK = 256
_METRICS = list(dict.fromkeys(chain.from_iterable(STOPPING_METRICS.values())))
_NAME = r"letters, digits, '.', '_' and '-'"


def _check_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    # The name becomes a folder and stands before the @ of a reference.
    plain = name.replace(".", "").replace("_", "").replace("-", "")
    if not (plain.isascii() and plain.isalnum()) or name.startswith("."):
        raise click.BadParameter(f"{name!r} cannot name a model; use {_NAME}")
    return name


@click.command("finetune")
@click.argument("named", metavar="SOURCE...", nargs=-1, required=True)
@text_option
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="COL",
    help="Column with the right label; with --multi-label given several times: columns of 0 and 1, one a label.  "
    "[default: the obvious one, or none with a --teacher]",
)
@click.option("--pair", metavar="COL", help="Column with a second text.")
@click.option("--multi-label", is_flag=True, help="A text may have several labels; in one column, '|' is between them.")
@click.option("--regression", is_flag=True, help="The label is a number, and the model tells one.")
@click.option("--name", required=True, callback=_check_name, help="Name of the model in the registry.")
@click.option("--base", help=f"minilm, a directory, a model or a hub id.  [default: {DEFAULT_BASE}, or the teacher]")
@click.option(
    "--layers",
    type=click.IntRange(1),
    metavar="N",
    help="Keep N of the base's encoder layers, evenly spread: fewer are faster.  [default: all]",
)
@distillation_options
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Batches that make one step: as if --batch-size were N times as large, in the memory of one batch.",
)
@click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True), default=5e-5, show_default=True)
@click.option(
    "--max-length",
    type=click.IntRange(8),
    help="Most tokens of a review read in training; fewer are faster. [default: the model's limit]",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of activations dropped in training. [default: the base's]",
)
@click.option("--keep-head", is_flag=True, help="Keep the base's own head and labels; the data may have no others.")
@click.option("--validation", metavar="SOURCE", help="Source of the validation examples, instead of a share.")
@click.option("--test", metavar="SOURCE", help="Source of the test examples, instead of a share.")
@click.option(
    "--validation-split",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the texts to validate on, drawn by label; never trained on. [default: 0.1]",
)
@click.option(
    "--test-split",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the texts to test on, likewise. [default: 0.1]",
)
@click.option(
    "--calibrate", is_flag=True, help="Fit a temperature on the held-out texts, so that 0.9 is right nine times in ten."
)
@click.option(
    "--class-weights",
    type=click.Choice(CLASS_WEIGHTS),
    default="none",
    show_default=True,
    help="balanced: every label counts for as much as any other, however rare it is.",
)
@click.option("--freeze", is_flag=True, help="Train the head only, and leave the encoder as it is: much faster.")
@click.option(
    "--lora-rank",
    type=click.IntRange(1, _HIGHEST_RANK),
    metavar="N",
    help="Train adapters of rank N beside the encoder's query and value projections, and the head.",
)
@click.option(
    "--early-stopping",
    type=click.Choice(_METRICS),
    help="Stop when this metric on the validation texts gets no better, and keep the best epoch's weights.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    metavar="P",
    help="Epochs in a row that may be no better, with --early-stopping. [default: 1]",
)
@reading_options
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows of SOURCE only.")
@max_failures_option
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def command(
    named: tuple[str, ...],
    text: str | None,
    labels: tuple[str, ...],
    pair: str | None,
    multi_label: bool,
    regression: bool,
    base: str | None,
    teacher: str | None,
    distill_temperature: float | None,
    label_weight: float | None,
    encoding: str | None,
    delimiter: str | None,
    limit: int | None,
    max_failures: FailureLimit | None,
    no_wait: bool,
    as_json: bool,
    validation: str | None,
    test: str | None,
    validation_split: float | None,
    test_split: float | None,
    early_stopping: str | None,
    patience: int | None,
    **plan: object,
) -> int:
    """Fine-tune a classifier on the labelled reviews of SOURCE (see `score` for what a source is).

    With a --teacher the reviews need no labels.
    """
    problem_type = _problem_type(labels, multi_label, regression)
    shares = {
        "validation_share": _share("validation", validation, validation_split),
        "test_share": _share("test", test, test_split),
    }
    stopping = {"early_stopping": early_stopping, "patience": _patience(early_stopping, patience)}
    training = TrainingPlan(**shares, **stopping, **plan)  # type: ignore[arg-type]
    beside = {"validation": validation, "test": test}
    sources = _open(named, beside, encoding=encoding, delimiter=delimiter)
    columns = _columns(sources.train, text, pair, labels, problem_type, has_teacher=teacher is not None)
    for one in sources.by_split().values():
        check_columns(one, columns)
    database = open_database()
    distillation = read_distillation(database, teacher, distill_temperature, label_weight)
    if distillation is not None:
        columns = taught_columns(columns, distillation.teacher)
        base = base or distillation.teacher.reference
    checkpoint = find_base(database, base or DEFAULT_BASE)
    # All is read and checked before anything is started.
    with notes.status("Reading reviews"):
        doorway = Doorway(database, None, ProducerSettings())
        job = doorway.prepare_finetuning(
            sources,
            columns,
            checkpoint,
            training,
            distillation=distillation,
            limit=limit,
            max_failures=max_failures,
        )
    show_training_check(job.params, sys.stderr)

    def enqueue(app: Celery | None) -> int:
        return replace(doorway, app=app).enqueue(job)

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json)


def _problem_type(labels: tuple[str, ...], multi_label: bool, regression: bool) -> str:
    if multi_label and regression:
        raise click.UsageError("--multi-label and --regression exclude each other: a label is a name or a number")
    if len(labels) > 1 and not multi_label:
        raise click.UsageError("several --label columns are the labels of --multi-label; add it, or name one column")
    if len(set(labels)) < len(labels):
        raise click.UsageError("a --label column is named twice")
    return MULTI_LABEL if multi_label else REGRESSION if regression else SINGLE_LABEL


def _columns(
    source: Source,
    text: str | None,
    pair: str | None,
    labels: tuple[str, ...],
    problem_type: str,
    *,
    has_teacher: bool,
) -> Columns:
    text = find_text(source, text, (pair, *labels))
    if not labels and not has_teacher:
        labels = (find_label(source, (text, pair)),)
    if len(labels) > 1:
        return Columns(text=text, pair=pair, indicators=labels, problem_type=problem_type)
    return Columns(text=text, pair=pair, label=labels[0] if labels else None, problem_type=problem_type)


def _share(split: str, source: str | None, share: float | None) -> float:
    """The share of SOURCE that serves as a split: none where the split has a source of its own."""
    if source is None:
        return _SHARE if share is None else share
    if share is not None:
        raise click.UsageError(f"--{split} and --{split}-split exclude each other: give a source or a share")
    return 0.0


def _patience(early_stopping: str | None, patience: int | None) -> int:
    if patience is not None and early_stopping is None:
        raise click.UsageError(f"--patience is for --early-stopping; add it ({', '.join(_METRICS)}), or leave both out")
    return patience or 1


def _open(named: tuple[str, ...], beside: Mapping[str, str | None], **form: str | None) -> TrainingSources:
    opened = {"train": open_reviews(*named, **form)}
    opened |= {split: open_reviews(name, **form) for split, name in beside.items() if name is not None}
    return TrainingSources(**opened)
