"""The registry of models: immutable versions under a name."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from db.checkpoint import CheckpointFacts
from db.dialect import insert
from db.errors import CheckpointError, UnknownModel
from db.tables import Model

#: How the path of a version in the model store begins; its digest follows.
STORED = "store:"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """One version of a model."""

    id: int
    name: str
    version: int
    base: str | None
    kind: str
    family: str
    labels: list[str]
    problem_type: str
    max_tokens: int
    digest: str
    path: str
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    aliases: list[str]
    created_at: datetime

    @property
    def reference(self) -> str:
        """How a person names this very version."""
        return f"{self.name}@{self.version}"


_COLUMNS = [getattr(Model, field) for field in RegisteredModel.__slots__]


def register_model(
    connection: Connection,
    name: str,
    place: Path | str,
    facts: CheckpointFacts,
    *,
    kind: str,
    base: str | None = None,
    metrics: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> RegisteredModel:
    """Register a checkpoint as the next version of `name`; the same weights again give the same version.

    `place` is what `models.path` holds: see db.model_files. One in the model store takes that of a folder over. Raises
    CheckpointError for an encoder without a classification head: it cannot score.
    """
    labels, problem_type = head_of(place, facts)
    same = select(*_COLUMNS).where(Model.name == name, Model.digest == facts.digest)
    values = {
        "name": name,
        "base": base,
        "kind": kind,
        "family": facts.family,
        "labels": labels,
        "problem_type": problem_type,
        "max_tokens": facts.max_tokens,
        "digest": facts.digest,
        "path": str(place),
        "metrics": metrics or {},
        "provenance": provenance or {},
        "aliases": [],
    }
    # Another process may register the same weights, or take the same version, between the look and the insert:
    # the insert then adds no row, and the next look sees theirs.
    while True:
        row = connection.execute(same).first() or _add_version(connection, values)
        if row is not None:
            return _at(connection, RegisteredModel(*row), str(place))


def head_of(place: Path | str, facts: CheckpointFacts) -> tuple[list[str], str]:
    """The labels and the problem type of a checkpoint. Raises CheckpointError for one that cannot score."""
    if facts.labels is None or facts.problem_type is None:
        raise CheckpointError(
            f"{place} is an encoder without a classification head; fine-tune it first: "
            f"reviewmill finetune SOURCE --text COL --label COL --base {place} --name NAME"
        )
    return list(facts.labels), facts.problem_type


def _at(connection: Connection, model: RegisteredModel, path: str) -> RegisteredModel:
    """The version, which is in the model store from now on if that is what the path says."""
    if not is_stored(path) or model.path == path:
        return model
    connection.execute(update(Model).where(Model.id == model.id).values(path=path))
    return replace(model, path=path)


def _add_version(connection: Connection, values: dict[str, Any]) -> Row[Any] | None:
    newest = connection.scalar(select(func.max(Model.version)).where(Model.name == values["name"])) or 0
    statement = insert(connection, Model).values(**values, version=newest + 1).on_conflict_do_nothing()
    return connection.execute(statement.returning(*_COLUMNS)).first()


def is_stored(path: str) -> bool:
    """Whether a model of that path is in the model store, and not in a folder."""
    return path.startswith(STORED)


def find_model(connection: Connection, reference: str) -> RegisteredModel:
    """The model that NAME (its newest version), NAME@VERSION or NAME@ALIAS means. Raises UnknownModel."""
    name, _, wanted = reference.partition("@")
    versions = versions_of(connection, name)
    if not versions:
        raise UnknownModel(f"no model is named {name!r}; {_known(connection)}")
    if not wanted:
        return versions[-1]
    for model in versions:
        if wanted == str(model.version) or wanted in model.aliases:
            return model
    known = ", ".join(_with_aliases(model) for model in versions)
    raise UnknownModel(f"{name} has no version or alias {wanted!r}; its versions are {known}")


def versions_of(connection: Connection, name: str) -> list[RegisteredModel]:
    """The versions of a name, oldest first; none for a name that is not there."""
    found = connection.execute(select(*_COLUMNS).where(Model.name == name).order_by(Model.version))
    return [RegisteredModel(*row) for row in found]


def versions_meant(connection: Connection, reference: str) -> list[RegisteredModel]:
    """All versions of a NAME, oldest first, or the one of NAME@VERSION or NAME@ALIAS. Raises UnknownModel."""
    found = find_model(connection, reference)
    return [found] if "@" in reference else versions_of(connection, found.name)


def get_model(connection: Connection, model_id: int) -> RegisteredModel:
    """The model with that id."""
    row = connection.execute(select(*_COLUMNS).where(Model.id == model_id)).first()
    if row is None:
        raise UnknownModel(f"no model has the id {model_id}")
    return RegisteredModel(*row)


def list_models(connection: Connection) -> list[RegisteredModel]:
    """Every version of every model, by name and version."""
    found = connection.execute(select(*_COLUMNS).order_by(Model.name, Model.version))
    return [RegisteredModel(*row) for row in found]


def registered_folders(connection: Connection) -> set[str]:
    """The folder names, without their parents, of every registered version.

    The same folder may be reached by different paths from different machines; its name is the same.
    """
    return {Path(path).name for path in connection.scalars(select(Model.path))}


def _with_aliases(model: RegisteredModel) -> str:
    return f"{model.version} ({', '.join(model.aliases)})" if model.aliases else str(model.version)


def _known(connection: Connection) -> str:
    names = list(connection.scalars(select(Model.name).distinct().order_by(Model.name)))
    return f"the registry has: {', '.join(names)}" if names else "the registry is empty"
