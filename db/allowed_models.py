"""Which models may be loaded: names of the hub and folders, as REVIEWMILL_ALLOWED_MODELS lists them.

The list is one of an operator, who sets it where commands run and where workers run; without it everything is allowed.
Commands refuse early, before anything is fetched or read. Workers ask again before they load, since all they have of a
model is a row that somebody wrote, and they judge by where its files are and not by what the row calls them:

- a folder below a listed one, with every link resolved, is allowed; so is no folder that links its files elsewhere;
- a folder of this machine's own cache of the hub is the model whose name the cache gives it, and `minilm` is the folder
  of that package: such are allowed where their name is listed;
- a folder below the workers' own models is a version that was fine-tuned here. It is allowed where the base that it was
  made from is, and so on down the line to a base that was not made here (see db.lineage). A base that is taken off the
  list takes its offspring along;
- a version in the model store has no place of its own, so that who can write to the store is trusted: `store` must be
  listed. What the registry says of it is then believed, and its name or its base must be allowed as well.

What the list cannot do: tell good weights of an allowed place from bad ones (the registered digest tells whether they
changed since), or keep somebody out who can write to a listed folder, to the cache or to the workers' models.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from db.errors import ModelNotAllowed

#: The base that a Python package carries; it is listed by this name.
PACKAGED = "minilm"
#: The model store, likewise.
STORE = "store"
SETTING = "REVIEWMILL_ALLOWED_MODELS"
_NAME = re.compile(r"[\w*][\w.*-]*/[\w*][\w.*-]*")
_FORMS = (
    f"it lists hub names such as distilbert/* or OWNER/NAME, {PACKAGED}, {STORE}, and absolute folders, "
    "with commas between"
)


@dataclass(frozen=True, slots=True)
class AllowedModels:
    """Patterns of hub names, in which `*` stands for anything but a slash, and folders with all that is below them."""

    names: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return ", ".join([*self.names, *map(str, self.folders)])

    @property
    def is_limited(self) -> bool:
        """Whether anything is listed."""
        return bool(self.names or self.folders)

    def allows_name(self, name: str) -> bool:
        """Whether a name of the hub, or `minilm`, is allowed."""
        return not self.is_limited or any(_matches(name, pattern) for pattern in self.names)

    def allows_folder(self, folder: Path) -> bool:
        """Whether a folder is, and with it every file that it links to."""
        return not self.is_limited or (self._holds(folder) and all(map(self._holds, _links_in(folder))))

    def check_name(self, name: str) -> None:
        """Raise ModelNotAllowed unless the name is allowed."""
        if not self.allows_name(name):
            raise self.refusal(name)

    def check_folder(self, folder: Path) -> None:
        """Raise ModelNotAllowed unless the folder is allowed."""
        if not self.allows_folder(folder):
            raise self.refusal(folder)

    def refusal(self, what: object) -> ModelNotAllowed:
        """The error for what is not allowed, which says what is."""
        return ModelNotAllowed(f"the model {what} is not allowed here; {SETTING} allows {self}")

    def _holds(self, path: Path) -> bool:
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # links that lead round in a circle
            return False
        return any(real.is_relative_to(folder) for folder in self.folders)


def read_allowed_models(listed: str) -> AllowedModels:
    """Read the setting. Raises ValueError for an entry that is neither a hub name nor an absolute folder."""
    entries = [entry.strip() for entry in listed.split(",")]
    folders = [Path(entry).expanduser() for entry in entries if entry.startswith(("/", "~"))]
    names = [entry for entry in entries if entry and not entry.startswith(("/", "~"))]
    for name in names:
        if name not in (PACKAGED, STORE) and (not _NAME.fullmatch(name) or ".." in name):
            raise ValueError(f"{name!r} cannot be listed; {_FORMS}")
    return AllowedModels(tuple(names), tuple(folder.resolve() for folder in folders))


def _matches(name: str, pattern: str) -> bool:
    """Part by part, so that no `*` reaches across the slash."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _links_in(folder: Path) -> list[Path]:
    # Of files only: no file of a checkpoint lies in a folder below its own.
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if path.is_symlink() and not path.is_dir()]
