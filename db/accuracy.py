"""How often a model was right, by what people said of its answers, and how that changes with time."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import fmean

from sqlalchemy import Connection, select

from db.agreement import learned_texts
from db.checkpoint import REGRESSION
from db.corrections import CorrectionFilter
from db.registry import RegisteredModel, get_model
from db.right_labels import corrected_questions, right_labels
from db.tables import Correction, Review


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a model version did on the reviews that people looked at in a week, or at any time.

    `model` is NAME@VERSION, and `week` the Monday that the week begins with, in UTC; None for all time. Of the
    `reviews`, `right` ones got the label that their annotators agree on; with several labels a review, all of them. A
    regression has `mean_error` instead, the mean absolute difference. Both are None where nothing is told.

    Not among the reviews are `ties` between annotators, those that the version, or one it comes from, was
    `trained_on`, and those of which it had said nothing (`unanswered`).
    """

    model: str
    week: date | None
    reviews: int
    right: int | None
    mean_error: float | None
    ties: int
    trained_on: int
    unanswered: int

    @property
    def share(self) -> float | None:
        """The share of the reviews that it got right, 0 to 1."""
        return None if self.right is None or not self.reviews else self.right / self.reviews


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a version said of a review, and when an annotator last looked at it."""

    review_id: int
    said: str | None
    looked_at: datetime


def accuracy(
    connection: Connection, model_ids: Collection[int] | None = None, *, by_week: bool = False
) -> list[Accuracy]:
    """The accuracy of every version with those ids, or of all, in order of name, version and week.

    A review counts once a version, in the week in which somebody last looked at it: what was said then stays, whatever
    is scored or pruned later. Versions without a correction have none.
    """
    found = []
    for versions in corrected_questions(connection).values():
        wanted = [id_ for id_ in versions if model_ids is None or id_ in model_ids]
        right = right_labels(connection, CorrectionFilter(model_ids=versions)) if wanted else {}
        models = [get_model(connection, id_) for id_ in wanted]
        found += [(model, one) for model in models for one in _of_version(connection, model, right, by_week)]
    found.sort(key=lambda pair: (pair[0].name, pair[0].version, pair[1].week or date.min))
    return [one for _, one in found]


def _of_version(
    connection: Connection, model: RegisteredModel, right: Mapping[int, str | None], by_week: bool
) -> Iterator[Accuracy]:
    learned = _learned(connection, model.id)
    weeks: dict[date | None, list[_Answer]] = defaultdict(list)
    for answer in _answers(connection, model.id):
        weeks[_monday(answer.looked_at) if by_week else None].append(answer)
    for week, answers in weeks.items():
        yield _measured(model, week, answers, right, learned)


def _measured(
    model: RegisteredModel,
    week: date | None,
    answers: Sequence[_Answer],
    right: Mapping[int, str | None],
    learned: Collection[int],
) -> Accuracy:
    is_regression = model.problem_type == REGRESSION
    fresh = [one for one in answers if one.review_id not in learned]
    told = [(one.said, right[one.review_id]) for one in fresh]
    pairs = [(said, label) for said, label in told if said is not None and label is not None]
    errors = [abs(float(said) - float(label)) for said, label in pairs] if is_regression else []
    return Accuracy(
        model.reference,
        week,
        reviews=len(pairs),
        right=None if is_regression or not pairs else sum(said == label for said, label in pairs),
        mean_error=fmean(errors) if errors else None,
        ties=sum(label is None for _, label in told),
        trained_on=len(answers) - len(fresh),
        unanswered=sum(said is None and label is not None for said, label in told),
    )


def _answers(connection: Connection, model_id: int) -> Iterator[_Answer]:
    latest = {}
    found = connection.execute(
        select(Correction.review_id, Correction.predicted, Correction.corrected_at)
        .where(Correction.model_id == model_id)
        .order_by(Correction.corrected_at)
    )
    for review_id, said, at in found:
        latest[review_id] = _Answer(review_id, said, at)
    return iter(latest.values())


def _learned(connection: Connection, model_id: int) -> set[int]:
    corrected = select(Correction.review_id).where(Correction.model_id == model_id)
    learned = Review.text_hash.in_(learned_texts(connection, [model_id]))
    return set(connection.scalars(select(Review.id).where(Review.id.in_(corrected), learned)))


def _monday(moment: datetime) -> date:
    return moment.date() - timedelta(days=moment.weekday())
