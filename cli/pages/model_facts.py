"""What every page says of a model version."""

from collections.abc import Mapping
from typing import Any

from cli.output import share
from db.registry import RegisteredModel

#: Each score that an evaluation may have: what a person calls it, and whether it is a share.
_SCORES = {
    "accuracy": ("Accuracy", True),
    "macro_f1": ("Macro F1", True),
    "micro_f1": ("Micro F1", True),
    "ece": ("Calibration error", True),
    "ece_uncalibrated": ("Calibration error before scaling", True),
    "mae": ("Mean error", False),
    "rmse": ("Root mean square error", False),
    "pearson_r": ("Pearson r", False),
}
#: A model may have thousands of labels.
_MOST_LABELS = 100


def model_facts(model: RegisteredModel) -> dict[str, Any]:
    """What the version is; a fact that is not known is None."""
    labels = ", ".join(model.labels[:_MOST_LABELS])
    return {
        "Base": model.base,
        "Family": model.family,
        "Labels": labels
        if len(model.labels) <= _MOST_LABELS
        else f"{labels} and {len(model.labels) - _MOST_LABELS} more",
        "Problem": model.problem_type.replace("_", " "),
        "Tokens read": f"{model.max_tokens:,}",
        "Weights": f"{model.digest[:12]}…",
    }


def score_name(metric: str) -> str:
    """What a person calls a metric: a score, or one that only a curve has."""
    return _SCORES[metric][0] if metric in _SCORES else metric.replace("_", " ").capitalize()


def held_out_scores(metrics: Mapping[str, Any], split: str | None) -> dict[str, str]:
    """The scores on the split that was evaluated, in words."""
    found = {name: metrics.get(f"{split}_{name}") for name in _SCORES}
    return {
        _SCORES[name][0]: share(value) if _SCORES[name][1] else f"{value:.3f}"
        for name, value in found.items()
        if value is not None
    }
