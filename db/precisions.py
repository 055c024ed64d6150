"""Which precision serves a model on a device for reviews of a source, and the figures that decided it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from db.clock import utc_now
from db.dialect import insert, review_ids_of_job
from db.tables import Example, Job, Precision, Review


@dataclass(frozen=True, slots=True)
class ChosenPrecision:
    """One decision. `asked` is auto or the precision that was ordered; `rungs` are what was tried, in order."""

    device: str
    source: str
    asked: str
    build: str
    chosen: str
    rungs: list[dict[str, Any]]
    chosen_at: datetime


_COLUMNS = [getattr(Precision, name) for name in ChosenPrecision.__slots__]


def find_precision(
    connection: Connection, model_id: int, device: str, source: str, asked: str, build: str
) -> ChosenPrecision | None:
    """The decision for this model, device, source and order, if it was taken on what is built now."""
    row = connection.execute(
        select(*_COLUMNS).where(
            Precision.model_id == model_id,
            Precision.device == device,
            Precision.source == source,
            Precision.asked == asked,
            Precision.build == build,
        )
    ).first()
    return ChosenPrecision(*row) if row else None


def remember_precision(
    connection: Connection,
    model_id: int,
    device: str,
    source: str,
    *,
    asked: str,
    build: str,
    chosen: str,
    rungs: Sequence[dict[str, Any]],
) -> None:
    """Write a decision down, in place of an earlier one."""
    key = {"model_id": model_id, "device": device, "source": source, "asked": asked}
    decision = {"build": build, "chosen": chosen, "rungs": list(rungs), "chosen_at": utc_now()}
    statement = insert(connection, Precision).values(**key, **decision)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=decision))


def precisions_of(connection: Connection, model_id: int, source: str | None = None) -> list[ChosenPrecision]:
    """The decisions on a model, for reviews of one source or of any, the newest first."""
    wanted = [Precision.model_id == model_id, *([Precision.source == source] if source is not None else [])]
    found = connection.execute(select(*_COLUMNS).where(*wanted).order_by(Precision.chosen_at.desc()))
    return [ChosenPrecision(*row) for row in found]


def sample_texts(connection: Connection, job_id: int, count: int) -> list[tuple[str, str | None]]:
    """So many different texts of a job's reviews, drawn by chance; all of them where there are fewer."""
    texts = select(Review.text, Review.text_pair).where(Review.id.in_(review_ids_of_job(connection, job_id)))
    drawn = texts.distinct().subquery()
    found = connection.execute(select(drawn).order_by(func.random()).limit(count))
    return [(row[0], row[1]) for row in found]


def examples_of_model(
    connection: Connection, model_id: int, split: str, count: int, *, labelled: bool = False
) -> list[tuple[str, str | None, str]]:
    """So many of the texts that a fine-tuned model was trained or held out on, drawn by chance.

    With their labels; one without has an empty one, and is left out where only `labelled` ones are asked for.
    """
    wanted = [Job.kind == "finetune", Job.model_id == model_id, Example.split == split]
    found = connection.execute(
        select(Review.text, Review.text_pair, func.coalesce(Example.label, ""))
        .join(Review, Review.id == Example.review_id)
        .join(Job, Job.id == Example.job_id)
        .where(*wanted, *([Example.label.is_not(None)] if labelled else []))
        .order_by(func.random())
        .limit(count)
    )
    return [(row[0], row[1], row[2]) for row in found]
