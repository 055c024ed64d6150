"""Whether the options of a training go together: asked before anything is enqueued, not after hours of it."""

from db.training import STOPPING_METRICS
from producer.errors import OptionError

CLASS_WEIGHTS = ("none", "balanced")


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
