"""Whether the options of a training go together: asked before anything is enqueued, not after hours of it."""

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from db.training import STOPPING_METRICS
from producer.errors import OptionError

CLASS_WEIGHTS = ("none", "balanced")
#: Every metric that can stop a training of some kind.
METRICS = tuple(dict.fromkeys(chain.from_iterable(STOPPING_METRICS.values())))
#: Far above what adapters need: the kernel that they stand beside has no higher rank a head.
HIGHEST_RANK = 256


class _Range(NamedTuple):
    """The numbers an option may have. An open end is not one of them; a whole number's highest may be any."""

    lowest: float
    highest: float | None = None
    is_whole: bool = True
    low_open: bool = False
    high_open: bool = False

    def has(self, value: float) -> bool:
        is_above = value > self.lowest if self.low_open else value >= self.lowest
        if self.highest is None:
            return is_above
        return is_above and (value < self.highest if self.high_open else value <= self.highest)

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        low = f"above {self.lowest:g}" if self.low_open else f"from {self.lowest:g}"
        if self.highest is None:
            return f"{kind} {low}"
        return f"{kind} {low} {'and below' if self.high_open else 'to'} {self.highest:g}"


_SHARE = _Range(0, 1, is_whole=False, high_open=True)
_RANGES = {
    **dict.fromkeys(("epochs", "batch_size", "accumulate", "layers", "patience"), _Range(1)),
    "max_length": _Range(8),
    "lora_rank": _Range(1, HIGHEST_RANK),
    "learning_rate": _Range(0, 1, is_whole=False, low_open=True),
    **dict.fromkeys(("dropout", "validation_share", "test_share"), _SHARE),
    "distill_temperature": _Range(0, 100, is_whole=False, low_open=True),
    "label_weight": _Range(0, 1, is_whole=False),
}
#: Options that have other names than what they are kept as.
_SPOKEN = {"validation_share": "validation_split", "test_share": "test_split"}


def check_numbers(plan: Mapping[str, object]) -> None:
    """Raise OptionError for a number, by its name, that is outside its range; None is left alone, as are other names.

    The command line has refused such before; this is for those who ask in Python.
    """
    for name, allowed in _RANGES.items():
        value = plan.get(name)
        if value is None:
            continue
        kinds = int if allowed.is_whole else int | float
        if not isinstance(value, kinds) or isinstance(value, bool) or not allowed.has(value):
            option = _SPOKEN.get(name, name).replace("_", "-")
            raise OptionError(f"--{option} {value!r} is not {allowed}")


def check_options(
    problem_type: str,
    *,
    class_weights: str,
    has_teacher: bool,
    freeze: bool,
    lora_rank: int | None,
    early_stopping: str | None,
) -> None:
    """Refuse options that do not fit a problem type or one another. Raises OptionError."""
    kind = problem_type.replace("_", " ")
    if class_weights not in CLASS_WEIGHTS:
        raise OptionError(f"--class-weights {class_weights!r} is not one of {', '.join(CLASS_WEIGHTS)}")
    if class_weights != "none" and problem_type != "single_label_classification":
        raise OptionError(
            f"--class-weights {class_weights} is for labels that exclude one another, and this is {kind}; "
            "leave it out, or give one --label"
        )
    if class_weights != "none" and has_teacher:
        raise OptionError(
            f"--class-weights {class_weights} weighs labels, and a --teacher's student learns from texts without them "
            "too; leave out one of the two"
        )
    if freeze and lora_rank is not None:
        raise OptionError("--freeze and --lora-rank exclude each other: one leaves the encoder alone, one adapts it")
    allowed = STOPPING_METRICS[problem_type]
    if early_stopping is not None and early_stopping not in allowed:
        raise OptionError(f"--early-stopping {early_stopping} cannot be measured of {kind}; give {', '.join(allowed)}")


def check_early_stopping(early_stopping: str | None, held_out: int) -> None:
    """Refuse to stop early by what cannot be measured; `held_out` is how many validation examples there are.

    Raises OptionError.
    """
    if early_stopping is not None and not held_out:
        raise OptionError(
            "--early-stopping goes by held-out texts, and none of these are held out; "
            "give a --validation-split above 0 (the default is 0.1), or more reviews"
        )
