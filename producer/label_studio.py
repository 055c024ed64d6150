"""What people did in Label Studio, of its exports JSON and JSON-MIN, as flat records."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from producer.errors import SourceError
from producer.sources import Record
from producer.sources.bounds import MAX_JSON_DEPTH, is_too_deep

#: How the labelling is called in the configuration of `labels config`, and so the column that it comes back in.
LABEL = "label"
#: The kinds of control that give a label, by the key of their value.
_VALUES = ("choices", "number", "rating")
_JSON_FORMS = "a .json file is an export of Label Studio, JSON or JSON-MIN, or a list of objects like those of a .jsonl"


#: An export is held in memory, and takes several times its size there.
MAX_EXPORT_BYTES = 512 * 2**20
_TOO_DEEP = f"nested more than {MAX_JSON_DEPTH} lists and objects deep"


class LabelStudioExport:
    """A record for each annotation, and one for each task without any; `row` is the task's number, from 1.

    A record has what stood in the task's data, the annotation's `annotator` and `corrected_at`, and under the name of
    each control what was labelled: a list of choices, or a number. Where an annotation is empty it is an empty list
    under `label`; where a task was skipped there is nothing. Objects that come from elsewhere stay as they are.

    The file is held in memory. Raises SourceError where it is no such file, or larger than MAX_EXPORT_BYTES.
    """

    def __init__(self, path: Path, label: str = LABEL) -> None:
        self.name = str(path)
        self.notices: list[str] = []
        self._label = label
        self._tasks = _read(path)

    def columns(self) -> list[str] | None:
        """Return the names in the first record."""
        first = next(self.records(), None)
        return None if first is None else list(first.values)

    def records(self) -> Iterator[Record]:
        """Yield the records of every task, in order."""
        for row, task in enumerate(self._tasks, start=1):
            for values in self._of_task(task):
                yield Record(row, values)

    def _of_task(self, task: Mapping[str, Any]) -> Iterator[dict[str, object]]:
        if isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list):
            done = [one for one in task["annotations"] if isinstance(one, dict) and not one.get("was_cancelled")]
            for annotation in done:
                yield {**task["data"], **_said_by(annotation), **self._labelled(annotation)}
            if not done:
                yield {**task["data"], self._label: None}
        elif "annotation_id" in task:
            yield {**task, **_said_by(task), **self._labelled_min(task)}
        else:
            yield dict(task)

    def _labelled(self, annotation: Mapping[str, Any]) -> dict[str, object]:
        results = [one for one in annotation.get("result") or () if isinstance(one, dict) and "from_name" in one]
        return {one["from_name"]: _plain(one.get("value")) for one in results} or {self._label: []}

    def _labelled_min(self, task: Mapping[str, Any]) -> dict[str, object]:
        nothing: list[str] | None = None if task["annotation_id"] is None else []
        return {self._label: _plain(task.get(self._label, nothing))}


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        tasks = json.loads(_bytes_of(path))
    except OSError as error:
        raise SourceError(f"{path} can not be read: {error.strerror}") from error
    except RecursionError as error:
        raise SourceError(f"{path} can not be read: it is {_TOO_DEEP}") from error
    except ValueError as error:
        raise SourceError(f"{path} is not JSON: {error}; {_JSON_FORMS}") from error
    if isinstance(tasks, list) and any(map(is_too_deep, tasks)):
        raise SourceError(f"{path} can not be read: a task is {_TOO_DEEP}")
    if not isinstance(tasks, list) or not all(isinstance(one, dict) for one in tasks):
        raise SourceError(f"{path} is JSON, but no list of objects; {_JSON_FORMS}")
    if not tasks:
        raise SourceError(f"{path} is an empty list; there is nothing to import")
    return tasks


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_EXPORT_BYTES + 1)
    if len(content) > MAX_EXPORT_BYTES:
        raise SourceError(f"{path} is larger than {MAX_EXPORT_BYTES // 2**20} MiB; export fewer tasks at a time")
    return content


def _said_by(annotation: Mapping[str, Any]) -> dict[str, object]:
    """Who annotated, by mail address where the export tells it, and when."""
    who = annotation.get("completed_by", annotation.get("annotator"))
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return {"annotator": who, "corrected_at": annotation.get("updated_at") or annotation.get("created_at")}


def _plain(value: Any) -> object:
    """What was labelled without its wrapping, as in `{"choices": [...]}`, and in JSON-MIN `[{"number": 4}]`."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0]
    if isinstance(value, dict):
        return next((value[kind] for kind in _VALUES if kind in value), value)
    return value
