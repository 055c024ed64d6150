"""Whether the options of a training go together: asked before anything is enqueued, not after hours of it."""

from producer.errors import OptionError

CLASS_WEIGHTS = ("none", "balanced")


def check_options(problem_type: str, *, class_weights: str, freeze: bool, lora_rank: int | None) -> None:
    """Refuse options that do not fit a problem type or one another. Raises OptionError."""
    kind = problem_type.replace("_", " ")
    if class_weights != "none" and problem_type != "single_label_classification":
        raise OptionError(
            f"--class-weights {class_weights} is for labels that exclude one another, and this is {kind}; "
            "leave it out, or give one --label"
        )
    if freeze and lora_rank is not None:
        raise OptionError("--freeze and --lora-rank exclude each other: one leaves the encoder alone, one adapts it")
