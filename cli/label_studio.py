"""Results for Label Studio: tasks with predictions, and the labeling configuration that they fit."""

from collections.abc import Iterable
from typing import IO, Any
from xml.etree import ElementTree

import click
from sqlalchemy import Connection

from cli.output import to_json
from db.answers import answer_of
from db.checkpoint import MULTI_LABEL, REGRESSION
from db.jobs import job_status
from db.labels import split_labels
from db.registry import RegisteredModel, find_model, get_model
from db.results import Result
from db.scored import scored_models
from producer.label_studio import LABEL

TEXT, PAIR = "text", "text_pair"
#: The steps in which the control of a number goes up and down; Label Studio's own is 1.
_NUMBER_STEP = "0.01"


def model_to_correct(connection: Connection, job_id: int | None, reference: str | None) -> RegisteredModel:
    """The one version whose answers a project is about: the one named or the job's, or else the only one there is.

    Raises UnknownJob, UnknownModel, and UsageError where several versions have scored.
    """
    if reference is not None:
        return find_model(connection, reference)
    if job_id is not None and (of_job := job_status(connection, job_id).model_id) is not None:
        return get_model(connection, of_job)
    models = scored_models(connection)
    if len(models) != 1:
        names = ", ".join(one.reference for one in models) or "there are none"
        raise click.UsageError(f"a Label Studio project is about one version; give --model; those that scored: {names}")
    return models[0]


def write_tasks(results: Iterable[Result], file: IO[str], model: RegisteredModel) -> int:
    """Write a JSON list with a task for each result, which are all of that version; returns how many there were."""
    file.write("[")
    count = 0
    for count, one in enumerate(results, start=1):
        file.write((",\n" if count > 1 else "\n") + to_json(_task(one, model)))
    file.write("\n]\n")
    return count


def labeling_config(model: RegisteredModel, has_pairs: bool) -> str:
    """The labeling configuration, as XML, of a project for the model's answers, on reviews that may be pairs."""
    view = ElementTree.Element("View")
    for name in (TEXT, PAIR) if has_pairs else (TEXT,):
        ElementTree.SubElement(view, "Text", name=name, value=f"${name}")
    if model.problem_type == REGRESSION:
        ElementTree.SubElement(view, "Number", name=LABEL, toName=TEXT, step=_NUMBER_STEP, required="true")
    else:
        view.append(_choices(model))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")


def _choices(model: RegisteredModel) -> ElementTree.Element:
    several = model.problem_type == MULTI_LABEL
    # Where several may fit, none may: an annotation without a choice says so.
    how = {"choice": "multiple", "required": "false"} if several else {"choice": "single", "required": "true"}
    choices = ElementTree.Element("Choices", {"name": LABEL, "toName": TEXT, "showInLine": "true", **how})
    for label in model.labels:
        ElementTree.SubElement(choices, "Choice", value=label)
    return choices


def _task(result: Result, model: RegisteredModel) -> dict[str, Any]:
    data = {
        TEXT: result.text,
        # Always there: a configuration with pairs asks for it of every task.
        PAIR: result.text_pair or "",
        "review_id": result.review_id,
        "source": result.source,
        "external_id": result.external_id,
        "model": result.model,
    }
    return {"data": data, "predictions": [_prediction(result, model)]}


def _prediction(result: Result, model: RegisteredModel) -> dict[str, Any]:
    answer = answer_of(model.problem_type, result.label, result.probabilities)
    if model.problem_type == REGRESSION:
        return {"model_version": result.model, "result": [_region("number", float(answer))]}
    choices = split_labels(answer) if model.problem_type == MULTI_LABEL else [answer]
    result_ = [_region("choices", choices)] if choices else []
    return {"model_version": result.model, "score": _confidence(result, model), "result": result_}


def _region(kind: str, value: object) -> dict[str, Any]:
    return {"from_name": LABEL, "to_name": TEXT, "type": kind, "value": {kind: value}}


def _confidence(result: Result, model: RegisteredModel) -> float:
    """The probability of the label; where several may fit, the lowest with which any is said to fit or not to."""
    if model.problem_type != MULTI_LABEL or result.margin is None:
        return result.score
    return (1 + result.margin) / 2
