"""The page itself: what was gathered, put into words and figures, in a template that escapes all that it is given."""

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from cli.model_report.charts import draw_curves, draw_reliability
from cli.model_report.gather import ModelFacts
from cli.output import local_time
from cli.pages.model_facts import held_out_scores, model_facts, score_name
from cli.pages.template import render

#: Parameters of the job, by what they are called here.
_PARAMETERS = {
    "Reviews from": "source",
    "Epochs": "epochs",
    "Batch size": "batch_size",
    "Learning rate": "learning_rate",
    "Tokens read in training": "max_length",
    "Dropout": "dropout",
    "Seed": "seed",
    "Steps": "steps",
}
#: Labels with which a matrix can still be read.
_MATRIX_LABELS = 30
_SHOWN_CONFUSIONS = 20


def make_page(facts: ModelFacts) -> str:
    """The report as HTML, whole in one document."""
    evaluation = facts.evaluation or {}
    return render(
        Path(__file__).parent,
        "page.html",
        title=facts.model.reference,
        model=facts.model,
        created=local_time(facts.model.created_at),
        facts=_card(facts),
        scores=held_out_scores(facts.model.metrics, evaluation.get("split")),
        evaluation=evaluation,
        examples=facts.model.metrics.get(f"{evaluation.get('split')}_examples"),
        per_label=evaluation.get("per_label"),
        confusion=_confusion(evaluation),
        confusions=_confusions(evaluation),
        reliability=draw_reliability(evaluation["reliability"]) if evaluation.get("reliability") else None,
        temperature=facts.model.metrics.get("temperature"),
        curves=draw_curves(facts.curve),
        mistakes=facts.mistakes,
        words=_words,
        score_name=score_name,
    )


def _card(facts: ModelFacts) -> dict[str, Any]:
    """What the model is and how it was made; what is not known is left out."""
    model, params, metrics = facts.model, facts.job.params, facts.model.metrics
    card = {
        **model_facts(model),
        "Examples": ", ".join(f"{count:,} {split}" for split, count in _largest_first(facts.examples)),
        "Made by job": facts.job.id,
        **{name: params.get(key) for name, key in _PARAMETERS.items()},
        "Trained in": metrics.get("training_precision"),
        "Seconds": model.provenance.get("seconds"),
        "Device": model.provenance.get("device"),
        "Temperature": _rounded(metrics.get("temperature")),
    }
    return {name: value for name, value in card.items() if value not in (None, "")}


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=itemgetter(1), reverse=True)


def _confusion(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the matrix, each with its label and, of each cell, its count and share of the row."""
    if not 0 < len(evaluation.get("confusion", [])) <= _MATRIX_LABELS:
        return []
    return [
        {"label": label, "cells": [_cell(count, sum(row), right == at) for at, count in enumerate(row)]}
        for right, (label, row) in enumerate(zip(evaluation["labels"], evaluation["confusion"], strict=True))
    ]


def _cell(count: int, support: int, is_right: bool) -> dict[str, Any]:
    return {"count": count, "share": count / max(support, 1), "is_right": is_right}


def _confusions(evaluation: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """Where the matrix is too large to be shown: its largest counts off the diagonal, with the two labels."""
    matrix, labels = evaluation.get("confusion", []), evaluation.get("labels", [])
    if len(matrix) <= _MATRIX_LABELS:
        return []
    counts = [
        (count, labels[right], labels[predicted])
        for right, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if count and right != predicted
    ]
    return sorted(counts, key=itemgetter(0), reverse=True)[:_SHOWN_CONFUSIONS]


def _words(answer: Any) -> str:
    """A label, labels, or a number."""
    if isinstance(answer, list):
        return ", ".join(answer) or "no label"
    return f"{answer:.2f}" if isinstance(answer, float) else str(answer)


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"
