"""From what a record's label columns hold to the one text that stands for it in `examples`."""

from collections.abc import Callable, Mapping
from functools import partial

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.labels import LABEL_SEPARATOR, MAX_LABEL_CHARS, join_labels
from producer.errors import LabelError
from producer.values import Flaw, RejectedValue, is_blank, kind_of, shown, storable

Values = Mapping[str, object]
#: Models compute in float32, in which a larger number is infinite.
_LARGEST_FLOAT32 = 3.4028234663852886e38
#: What an indicator column may hold, white space and case aside.
_INDICATORS = {"0": False, "1": True, "false": False, "true": True}


def label_reader(column: str | None, indicators: tuple[str, ...], problem_type: str) -> Callable[[Values], str] | None:
    """A function from a record's values to its label, as `examples` keeps it; None where no column is named.

    It raises RejectedValue, UNLABELLED where nothing is said of the label and WRONG where the column is not one
    of such labels. In a multi-label column an empty text says that none of the labels fits; a missing one says
    nothing. Raises LabelError for an indicator column whose name can be no label.
    """
    if indicators:
        _check_names(indicators)
        return partial(_indicated, indicators)
    return None if column is None else partial(_in_column, column, _READERS[problem_type])


def where_there_is_one(read: Callable[[Values], str]) -> Callable[[Values], str | None]:
    """The same function, for records that need not have a label: None where nothing is said of it."""

    def read_if_there(values: Values) -> str | None:
        try:
            return read(values)
        except RejectedValue as rejected:
            if rejected.flaw is Flaw.UNLABELLED:
                return None
            raise

    return read_if_there


def _check_names(indicators: tuple[str, ...]) -> None:
    for name in indicators:
        if LABEL_SEPARATOR in name:
            raise LabelError(f"the column {name!r} cannot be a label: {LABEL_SEPARATOR!r} stands between labels")


def _in_column(column: str, read: Callable[[object], str], values: Values) -> str:
    return _kept(read(values.get(column)))


def _indicated(columns: tuple[str, ...], values: Values) -> str:
    return _kept(join_labels(column for column in columns if _is_set(column, values.get(column))))


def _kept(label: str) -> str:
    if len(label) > MAX_LABEL_CHARS:
        raise RejectedValue(f"the label has {len(label):,} characters; at most {MAX_LABEL_CHARS} are kept")
    return storable(label, "label")


def _single(value: object) -> str:
    if is_blank(value):
        raise RejectedValue("no label", Flaw.UNLABELLED)
    if not isinstance(value, str | int):
        allowed = "it must be text, a whole number, true or false"
        raise RejectedValue(f"the label is {kind_of(value)}; {allowed}", Flaw.WRONG)
    return str(value)


def _several(value: object) -> str:
    if value is None:
        raise RejectedValue("no label", Flaw.UNLABELLED)
    parts = value.split(LABEL_SEPARATOR) if isinstance(value, str) else value if isinstance(value, list) else [value]
    for part in parts:
        if not isinstance(part, str | int) or LABEL_SEPARATOR in str(part):
            what = f"holds {shown(part)}" if isinstance(value, list) else f"is {kind_of(value)}"
            allowed = f"it must be text with {LABEL_SEPARATOR!r} between labels, or a list of labels"
            raise RejectedValue(f"the label {what}; {allowed}", Flaw.WRONG)
    return join_labels(label for part in parts if (label := str(part).strip()))


def _number(value: object) -> str:
    if is_blank(value):
        raise RejectedValue("no target", Flaw.UNLABELLED)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RejectedValue(f"the target is {kind_of(value)}; it must be a finite number", Flaw.WRONG)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise RejectedValue(f"the target is {shown(value)}; it must be a finite number", Flaw.WRONG) from None
    if not abs(number) <= _LARGEST_FLOAT32:
        raise RejectedValue(f"the target is {number}; it must be a finite number", Flaw.WRONG)
    return repr(number)


def _is_set(column: str, value: object) -> bool:
    if is_blank(value):
        raise RejectedValue(f"nothing in the label column {column!r}", Flaw.UNLABELLED)
    known = _INDICATORS.get(str(value).strip().casefold())
    if known is None:
        raise RejectedValue(f"the label column {column!r} holds {shown(value)}; it must hold 0 or 1", Flaw.WRONG)
    return known


_READERS: Mapping[str, Callable[[object], str]] = {
    SINGLE_LABEL: _single,
    MULTI_LABEL: _several,
    REGRESSION: _number,
}
