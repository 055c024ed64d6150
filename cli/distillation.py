"""The options of `finetune` that make a student of a teacher."""

from collections.abc import Callable
from typing import Any

import click

from db.checkpoint import SINGLE_LABEL
from db.database import Database
from producer.checkpoints import find_or_add_model
from producer.distillation import DEFAULT_LABEL_WEIGHT, DEFAULT_TEMPERATURE, Distillation, check_teacher

_OPTIONS = (
    click.option(
        "--teacher",
        metavar="MODEL",
        help="Learn what this model says of each text, and labels where there are any; --label may then be left out.",
    ),
    click.option(
        "--distill-temperature",
        type=click.FloatRange(0, 100, min_open=True),
        help=f"How soft the teacher's probabilities are made.  [default: {DEFAULT_TEMPERATURE}]",
    ),
    click.option(
        "--label-weight",
        type=click.FloatRange(0, 1),
        help=f"Share of the loss that is the labels', where there are any.  [default: {DEFAULT_LABEL_WEIGHT}]",
    ),
)


def distillation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--teacher`, `--distill-temperature` and `--label-weight`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_distillation(
    database: Database, teacher: str | None, temperature: float | None, label_weight: float | None
) -> Distillation | None:
    """What the three options ask for; None without a teacher. Raises UsageError, and as finding a model does."""
    if teacher is None:
        for option, value in (("--distill-temperature", temperature), ("--label-weight", label_weight)):
            if value is not None:
                raise click.UsageError(f"{option} is for a student; name its --teacher, or leave it out")
        return None
    model = find_or_add_model(database, teacher)
    check_teacher(model)
    if temperature is not None and model.problem_type != SINGLE_LABEL:
        raise click.UsageError(
            f"--distill-temperature is for labels that exclude one another, and {model.reference} is made for "
            f"{model.problem_type.replace('_', ' ')}; leave it out"
        )
    return Distillation(
        model,
        DEFAULT_TEMPERATURE if temperature is None else temperature,
        DEFAULT_LABEL_WEIGHT if label_weight is None else label_weight,
    )
