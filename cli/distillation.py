"""The options of `finetune` that make a student of a teacher."""

from collections.abc import Callable
from typing import Any

import click

from producer.distillation import DEFAULT_LABEL_WEIGHT, DEFAULT_TEMPERATURE

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
