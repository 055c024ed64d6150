"""The reviews that people have labelled, with what is right of each: `labels:`."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from sqlalchemy import Connection, select

from db.checkpoint import REGRESSION
from db.corrections import CorrectionFilter
from db.database import Database
from db.dialect import is_one_of
from db.registry import get_model, versions_meant
from db.right_labels import corrected_questions, right_labels
from db.scored import has_pairs
from db.tables import Review
from producer.errors import SourceError
from producer.sources.base import Record, Unreadable

#: How such a source is written, for messages.
LABELS_FORMS = "labels:[MODEL][?since=TIME&text=COL&label=COL&pair=COL]"
_COLUMNS = ("text", "label", "pair")
#: Reviews fetched at a time.
_FETCHED = 1_000
#: Ties named in a notice.
_SHOWN_TIES = 5


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stands behind `labels:`; `names` are those of columns that are to be called otherwise."""

    model: str | None
    since: datetime | None
    names: Mapping[str, str]


class LabelsSource:
    """Every review with a correction, and the label that its annotators agree on; those without one are left out.

    The columns are `text`, `label` and, where the reviews are pairs, `text_pair`, or what the source's parameters call
    them, so that it can be read together with a file; of a regression the label's is called as the model's own. Beside
    them are `source` and `external_id`. `problem_type` is that of the model. `row` counts the reviews.

    Raises SourceError where there are no corrections, or of more than one question; and UnknownModel.
    """

    def __init__(self, rest: str, database: Database) -> None:
        asked = _parse(rest)
        self.name = f"labels:{rest}"
        self.notices: list[str] = []
        self._database = database
        with database.read() as connection:
            model_ids = _model_ids(connection, asked.model)
            labels = right_labels(connection, CorrectionFilter(model_ids, asked.since))
            model = get_model(connection, model_ids[-1])
            pairs = any(has_pairs(connection, id_) for id_ in model_ids)
        self._labels = {review_id: label for review_id, label in labels.items() if label is not None}
        if not labels:
            raise SourceError(f"{self.name} has no corrections; {_import_some()}")
        self._tell_ties([review_id for review_id, label in labels.items() if label is None])
        self.problem_type = model.problem_type
        # A regression's one label is called as its column is.
        usual = model.labels[0] if model.problem_type == REGRESSION else "label"
        self.text, self.label = asked.names.get("text", "text"), asked.names.get("label", usual)
        self.pair = asked.names.get("pair", "text_pair") if pairs else None
        self._told = 0

    def columns(self) -> list[str] | None:
        """Return the columns in order."""
        texts = [self.text] if self.pair is None else [self.text, self.pair]
        return [*texts, self.label, "source", "external_id"]

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Yield the reviews in the order in which they were stored."""
        self._told = 0
        ids = list(self._labels)
        for start in range(0, len(ids), _FETCHED):
            for values in self._fetch(ids[start : start + _FETCHED]):
                self._told += 1
                yield Record(self._told, values)

    def rows(self) -> int | None:
        """Return how many reviews there are."""
        return len(self._labels)

    def share_read(self) -> float | None:
        """Return the share of the reviews that the latest `records` has given."""
        return self._told / max(1, len(self._labels))

    def _fetch(self, ids: list[int]) -> Iterator[dict[str, object]]:
        with self._database.read() as connection:
            found = connection.execute(
                select(Review.id, Review.text, Review.text_pair, Review.source, Review.external_id)
                .where(is_one_of(connection, Review.id, ids))
                .order_by(Review.id)
            ).all()
        for one in found:
            pair = {} if self.pair is None else {self.pair: one.text_pair}
            told = {"source": one.source, "external_id": one.external_id}
            yield {self.text: one.text, **pair, self.label: self._labels[one.id], **told}

    def _tell_ties(self, ids: list[int]) -> None:
        if not ids:
            return
        with self._database.read() as connection:
            named = connection.scalars(
                select(Review.external_id).where(Review.id.in_(ids[:_SHOWN_TIES])).order_by(Review.id)
            ).all()
        more = ", ..." if len(ids) > _SHOWN_TIES else ""
        count = "1 review is" if len(ids) == 1 else f"{len(ids):,} reviews are"
        self.notices.append(f"{self.name}: {count} left out, for its annotators disagree: {', '.join(named)}{more}")


def _parse(rest: str) -> _Asked:
    model, _, text = rest.partition("?")
    # A plus sign is that of a time zone.
    given = dict(parse_qsl(text.replace("+", "%2B"), keep_blank_values=True))
    unknown = [name for name in given if name not in ("since", *_COLUMNS) or not given[name]]
    if unknown or (text and not given):
        raise SourceError(f"{'labels:' + rest!r} asks for nothing that there is; write it as {LABELS_FORMS}")
    names = {name: given[name] for name in _COLUMNS if name in given}
    return _Asked(model or None, _moment(given["since"]) if "since" in given else None, names)


def _moment(text: str) -> datetime:
    try:
        # A time without a zone is a local one.
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise SourceError(f"since={text} is no time; write it as in 2026-11-28 or 2026-11-28T14:05") from None


def _model_ids(connection: Connection, reference: str | None) -> list[int]:
    """The versions whose corrections are wanted: of one question, or it would not be known what a label means."""
    questions = corrected_questions(connection)
    if reference is not None:
        meant = {one.id for one in versions_meant(connection, reference)}
        questions = {
            question: ids for question, all_ids in questions.items() if (ids := [*meant.intersection(all_ids)])
        }
    if not questions:
        what = f"of {reference}" if reference else "yet"
        raise SourceError(f"there are no corrections {what}; {_import_some()}")
    if len(questions) > 1:
        names = sorted({name for name, _ in questions})
        if len(names) == 1:
            raise SourceError(f"the versions of {names[0]} are of several kinds; name one, as in labels:{names[0]}@1")
        raise SourceError(
            f"there are corrections of several models; name one: {', '.join(map('labels:{}'.format, names))}"
        )
    return sorted(next(iter(questions.values())))


def _import_some() -> str:
    return "bring some back with: reviewmill labels import FILE"
