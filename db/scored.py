"""Which models have scored, and what kind of reviews."""

from sqlalchemy import Connection, exists, func, select

from db.registry import RegisteredModel, list_models
from db.tables import Job, Model, Prediction


def scored_models(connection: Connection) -> list[RegisteredModel]:
    """The versions that have a prediction, by name and version."""
    has_one = exists().where(Prediction.model_id == Model.id)
    ids = set(connection.scalars(select(Model.id).where(has_one)))
    return [model for model in list_models(connection) if model.id in ids]


def has_pairs(connection: Connection, model_id: int) -> bool:
    """Whether a job of the model, to score or to make it, read a second text beside each."""
    pair = Job.params["pair_column"].as_string()
    jobs = select(func.count()).select_from(Job).where(Job.model_id == model_id, pair.is_not(None))
    return bool(connection.scalar(jobs))
