"""The README.md of an exported version: what it is, how it does and how it is loaded, as hubs show it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.evaluation import per_label_rows
from db.registry import RegisteredModel

#: Read by hubs and by `transformers`.
_FRONT_MATTER = """\
---
library_name: transformers
pipeline_tag: text-classification
---
"""
_USE = """\
## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", "THIS_DIRECTORY", top_k=None)
classify("A review.", truncation=True)
```
"""


def model_card(model: RegisteredModel) -> str:
    """The card as Markdown. It names no place on the machine that the version comes from."""
    title = f"# {model.name} {model.version}\n"
    about = f"A text classifier, exported from Reviewmill as {model.reference}.\n"
    facts = _table(("", ""), _facts(model).items())
    return "\n".join([_FRONT_MATTER, title, about, facts, *_held_out(model.metrics), _USE])


def _facts(model: RegisteredModel) -> dict[str, object]:
    facts = {
        "Base": _without_folders(model.base),
        "Family": model.family,
        "Problem": model.problem_type.replace("_", " "),
        "Labels": ", ".join(model.labels),
        "Tokens read": model.max_tokens,
        "Made": model.created_at.date().isoformat(),
        "SHA-256 of its files": model.digest,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _held_out(metrics: Mapping[str, Any]) -> list[str]:
    """The figures of the evaluation, and those of each label, where there are any."""
    evaluation = metrics.get("evaluation", {})
    scores = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    parts = [_table(("figure", "value"), ((name, _rounded(value)) for name, value in scores.items()))] if scores else []
    if evaluation.get("per_label"):
        rows = per_label_rows(evaluation["per_label"])
        parts.append(_table(("label", "precision", "recall", "F1", f"{evaluation['split']} examples"), rows))
    return ["## Figures\n", *parts] if parts else []


def _table(names: Sequence[str], rows: Any) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: object) -> str:
    # A label may hold anything.
    return " ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _without_folders(base: str | None) -> str | None:
    """A hub id and a registry's reference as they are; of a folder its name alone."""
    return Path(base).name if base and Path(base).is_absolute() else base


def _rounded(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
