"""Aliases: names such as `production` that stand on one version of a model and move from one to another."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from db.errors import BadAlias, WorseModel
from db.registry import RegisteredModel, find_model, versions_of
from db.tables import Model

#: The figures that decide, the first that both versions have; each begins with the split it was measured on.
_ACCURACIES = ("test_accuracy", "validation_accuracy")
_ERRORS = ("test_mae", "validation_mae")
_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Contest:
    """The main figure of two versions, measured on the same held-out examples."""

    metric: str
    holder: float
    challenger: float

    @property
    def is_lost(self) -> bool:
        """Whether the challenger is worse: a lower accuracy, or a higher error."""
        if self.metric in _ERRORS:
            return self.challenger > self.holder
        return self.challenger < self.holder


@dataclass(frozen=True, slots=True)
class Promotion:
    """An alias that was moved, the version it stood on before, and their contest where they could be compared."""

    alias: str
    model: RegisteredModel
    holder: RegisteredModel | None
    contest: Contest | None


def promote(connection: Connection, reference: str, alias: str, *, force: bool = False) -> Promotion:
    """Move an alias to the version that the reference means, within its name, in the caller's transaction.

    Raises BadAlias, UnknownModel, and, unless `force`, WorseModel where the version that holds the alias did better
    on the same held-out examples. Nothing has changed then.
    """
    _check(alias)
    name = reference.partition("@")[0]
    # All versions of the name are locked, in one order, before anything is looked at: of two promotions at once the
    # second sees what the first has done. The lock is the weaker one, which predictions that name a version pass.
    connection.execute(select(Model.id).where(Model.name == name).order_by(Model.id).with_for_update(key_share=True))
    model = find_model(connection, reference)
    holder = next((one for one in versions_of(connection, name) if alias in one.aliases), None)
    contest = None
    if holder is not None and holder != model:
        contest = compete(holder, model)
        if contest and contest.is_lost and not force:
            raise WorseModel(_refusal(alias, holder, model, contest))
    _move(connection, alias, holder, model)
    return Promotion(alias, find_model(connection, model.reference), holder, contest)


def compete(holder: RegisteredModel, challenger: RegisteredModel) -> Contest | None:
    """The first main figure that both have on the very same held-out examples; None where there is none."""
    for metric in _ACCURACIES + _ERRORS:
        before, after = _figure(holder, metric), _figure(challenger, metric)
        if before and after and before[1] == after[1]:
            return Contest(metric, before[0], after[0])
    return None


def _figure(model: RegisteredModel, metric: str) -> tuple[float, str] | None:
    """The figure of that name, and the digest of the examples it was measured on; None where either is not known."""
    splits = model.provenance.get("data", {}).get("splits", {})
    digest = splits.get(metric.partition("_")[0], {}).get("digest")
    value = model.metrics.get(metric)
    return (value, digest) if value is not None and digest is not None else None


def _check(alias: str) -> None:
    if not _ALIAS.fullmatch(alias) or alias.isdecimal():
        raise BadAlias(
            f"{alias!r} cannot be an alias; use up to 64 letters, digits, '.', '_' and '-', and not digits alone, "
            "which are versions"
        )


def _refusal(alias: str, holder: RegisteredModel, model: RegisteredModel, contest: Contest) -> str:
    return (
        f"{model.reference} is worse than {holder.reference}, which is {alias}, on the same held-out examples: "
        f"{contest.metric} {contest.challenger:.4f} after {contest.holder:.4f}; --force moves it all the same"
    )


def _move(connection: Connection, alias: str, holder: RegisteredModel | None, model: RegisteredModel) -> None:
    if holder is not None and holder != model:
        _set_aliases(connection, holder, set(holder.aliases) - {alias})
    _set_aliases(connection, model, {*model.aliases, alias})


def _set_aliases(connection: Connection, model: RegisteredModel, aliases: set[str]) -> None:
    connection.execute(update(Model).where(Model.id == model.id).values(aliases=sorted(aliases)))
