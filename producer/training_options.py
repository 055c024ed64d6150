"""Whether the options of a training go together: asked before anything is enqueued, not after hours of it."""

from producer.errors import OptionError

CLASS_WEIGHTS = ("none", "balanced")


def check_options(problem_type: str, *, class_weights: str) -> None:
    """Refuse options that do not fit a problem type or one another. Raises OptionError."""
    kind = problem_type.replace("_", " ")
    if class_weights != "none" and problem_type != "single_label_classification":
        raise OptionError(
            f"--class-weights {class_weights} is for labels that exclude one another, and this is {kind}; "
            "leave it out, or give one --label"
        )
