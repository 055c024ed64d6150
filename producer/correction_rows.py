"""One row of a file of corrections: which review it names, which model's answer was looked at, and what is right."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.labels import split_labels
from db.registry import RegisteredModel
from db.tables import MAX_ANNOTATOR_CHARS
from producer.head import named
from producer.labels import label_reader
from producer.rows import checked_id
from producer.sources import Record
from producer.values import Flaw, RejectedValue, is_blank, kind_of, shown, storable

#: The columns of a correction that are found by these names.
EXTERNAL_ID, REVIEW_ID, SOURCE, MODEL, ANNOTATOR = "external_id", "review_id", "source", "model", "annotator"
CORRECTED_AT = "corrected_at"
#: Whoever labelled, where neither the file nor the person who brings it says.
_SOMEBODY = "unknown"


class ReadCorrection(NamedTuple):
    """A row fit to be stored once its review is found; a `review_id` says which text of those under the id it was."""

    row: int
    source: str | None
    external_id: str
    review_id: int | None
    model: RegisteredModel
    annotator: str
    label: str
    corrected_at: datetime | None


@dataclass(frozen=True, slots=True)
class CorrectionReader:
    """Reads rows: `id` and `label` name columns, `source` and `annotator` are for rows that do not tell them.

    `find_model` gives the model for what stands in the column `model`, None for nothing; it raises RejectedValue.
    """

    id: str
    label: str
    find_model: Callable[[object], RegisteredModel]
    source: str | None = None
    annotator: str | None = None

    def read(self, record: Record) -> ReadCorrection:
        """The correction in a record. Raises RejectedValue, UNLABELLED where nobody has said anything yet."""
        values = record.values
        if is_blank(values.get(self.label)):
            raise RejectedValue("no label", Flaw.UNLABELLED)
        external_id = checked_id(values.get(self.id))
        model = self.find_model(values.get(MODEL))
        return ReadCorrection(
            record.row,
            _word(values.get(SOURCE), SOURCE) or self.source,
            external_id,
            _review_id(values.get(REVIEW_ID)) if self.id == EXTERNAL_ID else None,
            model,
            _annotator(values.get(ANNOTATOR)) or self.annotator or _SOMEBODY,
            _label(values.get(self.label), model),
            _time(values.get(CORRECTED_AT)),
        )


def _label(value: object, model: RegisteredModel) -> str:
    """The label as `examples` keeps it. Raises RejectedValue for one that the model does not give."""
    if isinstance(value, list) and model.problem_type != MULTI_LABEL:
        # What was chosen where only one can be.
        value = value[0] if len(value) == 1 else value or None
    read = label_reader(MODEL, (), model.problem_type)
    assert read is not None
    label = read({MODEL: value})
    said = [] if model.problem_type == REGRESSION else _each(label, model)
    unknown = [one for one in said if one not in model.labels]
    if unknown:
        raise RejectedValue(f"{model.reference} does not give {named(unknown)}; it gives {named(model.labels)}")
    return label


def _each(label: str, model: RegisteredModel) -> list[str]:
    return split_labels(label) if model.problem_type == MULTI_LABEL else [label]


def _review_id(value: object) -> int | None:
    try:
        return None if is_blank(value) else int(str(value))
    except ValueError:
        raise RejectedValue(f"the {REVIEW_ID} is {shown(value)}, no whole number") from None


def _annotator(value: object) -> str | None:
    name = _word(value, ANNOTATOR)
    if name is not None and len(name) > MAX_ANNOTATOR_CHARS:
        raise RejectedValue(f"the annotator has {len(name):,} characters; at most {MAX_ANNOTATOR_CHARS} are kept")
    return name


def _word(value: object, what: str) -> str | None:
    if is_blank(value):
        return None
    if not isinstance(value, str | int):
        raise RejectedValue(f"the {what} is {kind_of(value)}, not text")
    return storable(str(value), what)


def _time(value: object) -> datetime | None:
    if is_blank(value) or isinstance(value, datetime):
        return value.astimezone() if isinstance(value, datetime) else None
    try:
        # A time without a zone is a local one.
        return datetime.fromisoformat(str(value)).astimezone()
    except (ValueError, OverflowError):
        told = f"the {CORRECTED_AT} is {shown(value)}"
        raise RejectedValue(f"{told}; write it as in 2026-11-28T14:05:00+01:00") from None
