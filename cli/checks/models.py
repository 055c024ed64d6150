"""Whether the files of registered models are there, and still those that were registered."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection

from cli.checks.finding import Finding, ok, wrong
from cli.checks.patient import Patient
from db.checkpoint import read_checkpoint_facts
from db.errors import CheckpointError, UnknownModel
from db.registry import RegisteredModel, is_stored, list_models, versions_meant
from db.settings import DatabaseSettings

NAME = "models"


def check(patient: Patient) -> Iterator[Finding]:
    """Look at each version that is meant; its files are read whole, unless it is to be quick."""
    with patient.asking() as connection:
        if connection is None:
            return
        try:
            models = _meant(connection, patient.scope.models)
        except UnknownModel as error:
            yield wrong(NAME, str(error), "reviewmill models list tells which there are")
            return
    found = []
    for number, model in enumerate(models, 1):
        patient.say(f"models: {model.reference} ({number} of {len(models)})")
        if (finding := _look(model, patient.scope.quick)) is not None:
            found.append(finding)
            yield finding
    if not found:
        looked = "are there" if patient.scope.quick else "are those that were registered"
        yield ok(NAME, f"the files of {len(models)} versions {looked}" if models else "none is registered yet")


def _meant(connection: Connection, references: Sequence[str]) -> list[RegisteredModel]:
    if not references:
        return list_models(connection)
    meant = {one.id: one for reference in references for one in versions_meant(connection, reference)}
    return list(meant.values())


def _look(model: RegisteredModel, quick: bool) -> Finding | None:
    folder = _folder(model)
    if not folder.is_dir():
        # A copy of what is in a store is fetched at its first use.
        return None if is_stored(model.path) else _gone(model)
    if quick:
        return None
    back = "put the files back from a backup"
    try:
        if read_checkpoint_facts(folder).digest == model.digest:
            return None
    except (CheckpointError, OSError) as error:
        return wrong(NAME, f"the files of {model.reference} cannot be read: {error}", back)
    return wrong(
        NAME,
        f"the files of {model.reference} in {folder} are no longer those that were registered",
        f"remove the copy: {folder}"
        if is_stored(model.path)
        else f"{back}, or register them as a new version: reviewmill models add {folder} --name {model.name}",
    )


def _folder(model: RegisteredModel) -> Path:
    """Where the files are on this machine, or would be."""
    return DatabaseSettings().models_cache / model.digest if is_stored(model.path) else Path(model.path)


def _gone(model: RegisteredModel) -> Finding:
    return wrong(
        NAME,
        f"the files of {model.reference} are gone: {model.path} is not a folder on this machine",
        "put them back from a backup; on a machine that works, have it see the folder under the same path, or keep "
        "models in a store: REVIEWMILL_MODEL_STORE",
    )
