"""The model store: a directory, or a place that fsspec reaches, which every machine of a team can read.

STORE/DIGEST/config.json, model.safetensors ...   the files of one checkpoint, under the digest that the registry has
STORE/DIGEST/manifest.json                        their sizes and SHA-256, written last: without it nothing is there
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from db.checkpoint import checkpoint_files, digest_of, is_checkpoint_file, sha256_of
from db.durable import sync
from db.errors import ModelChanged, ModelMissing, StoreUnreachable
from db.urls import masked

_MANIFEST = "manifest.json"
#: The extra of this package that brings what a scheme needs.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


@dataclass(frozen=True, slots=True)
class _File:
    """What the manifest tells of one file."""

    sha256: str
    size: int


class ModelStore:
    """Checkpoints by digest, put and fetched whole. `shown` is its address without what may be secret.

    Whatever goes wrong on the way there is StoreUnreachable: nobody's data are to blame.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.shown = masked(url) if "://" in url else url

    def put(self, directory: Path, digest: str) -> None:
        """Copy a checkpoint of that digest there, unless it is there. Raises ModelChanged where it has another."""
        if self.has(digest):
            return
        found = {path.name: _File(sha256_of(path), path.stat().st_size) for path in checkpoint_files(directory)}
        if digest_of({name: file.sha256 for name, file in found.items()}) != digest:
            raise ModelChanged(f"the files in {directory} change while they are read; try again when they are at rest")
        with self._reaching():
            self._make_folder(self._place(digest))
        for name in found:
            with self._reaching():
                self._filesystem.put_file(str(directory / name), self._place(digest, name))
                self._settle(digest, name)
        manifest = {name: {"sha256": file.sha256, "size": file.size} for name, file in found.items()}
        with self._reaching():
            self._filesystem.pipe_file(self._place(digest, _MANIFEST), json.dumps({"files": manifest}).encode())
            self._settle(digest, _MANIFEST)

    def has(self, digest: str) -> bool:
        """Whether a checkpoint of that digest is there, with every file in its size."""
        found = self._manifest(digest)
        return bool(found) and all(self._size(digest, name) == file.size for name, file in found.items())

    def fetch(self, digest: str, folder: Path, who: str) -> None:
        """Copy the checkpoint of that digest into a new folder, and check it. `who` it is of is for messages.

        Raises ModelMissing where the store has none, or not all of it, and ModelChanged where it has other files
        under that digest; what is in the folder then is of no use.
        """
        files = self._manifest(digest)
        if not files:
            self._refuse_missing(who)
        if strange := [name for name in files if not is_checkpoint_file(name)]:
            raise ModelChanged(f"{self._said(who)} hold {strange[0]!r}, which is no part of a checkpoint")
        folder.mkdir(parents=True)
        for name in files:
            with self._reaching(missing=f"{self._said(who)} are not whole: {name} is missing"):
                self._filesystem.get_file(self._place(digest, name), str(folder / name))
            sync(folder / name)
        sums = {name: sha256_of(folder / name) for name in files}
        damaged = [name for name, file in files.items() if file.sha256 != sums[name]]
        if damaged or digest_of(sums) != digest:
            which = f": {damaged[0]} is damaged" if damaged else ""
            raise ModelChanged(f"{self._said(who)} are not those that were registered{which}; put the right ones back")

    def _said(self, who: str) -> str:
        return f"the files of {who} in the model store {self.shown}"

    def _refuse_missing(self, who: str) -> None:
        with self._reaching():
            # A share that is not mounted, or a bucket that is not there, says nothing about the model.
            if not self._filesystem.exists(self._root):
                raise FileNotFoundError("there is no such place, or it is empty")
        raise ModelMissing(f"{self._said(who)} are gone, or were never whole")

    def _manifest(self, digest: str) -> Mapping[str, _File]:
        """The files of a checkpoint by name; none where it is not there, or was not put there whole."""
        try:
            with self._reaching(missing=""):
                told = self._filesystem.cat_file(self._place(digest, _MANIFEST))
            files = json.loads(told)["files"]
            return {str(name): _File(str(one["sha256"]), int(one["size"])) for name, one in files.items()}
        except (ModelMissing, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _size(self, digest: str, name: str) -> int | None:
        try:
            with self._reaching(missing=""):
                return int(self._filesystem.info(self._place(digest, name))["size"])
        except ModelMissing:
            return None

    def _place(self, digest: str, name: str = "") -> str:
        return f"{self._root}/{digest}/{name}" if name else f"{self._root}/{digest}"

    def _make_folder(self, place: str) -> None:
        # Object stores, which are what fsspec reaches without waiting, have no folders; theirs would make a bucket.
        if not getattr(self._filesystem, "async_impl", False):
            self._filesystem.makedirs(place, exist_ok=True)

    def _settle(self, digest: str, name: str) -> None:
        """Have a file of a store that is a directory on the disk before anything relies on it."""
        if "file" in self._filesystem.protocol:
            sync(Path(self._place(digest, name)))
            sync(Path(self._place(digest)))

    @property
    def _filesystem(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1].rstrip("/")

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        # A listing that is kept would hide what another machine has put there since.
        filesystem, root = url_to_fs(self._url, use_listings_cache=False)
        return filesystem, root

    @contextmanager
    def _reaching(self, *, missing: str | None = None) -> Iterator[None]:
        # Every file system has errors of its own, of no common kind.
        try:
            yield
        except FileNotFoundError as error:
            if missing is not None:
                raise ModelMissing(missing) from error
            raise self._unreachable(error) from error
        except Exception as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> StoreUnreachable:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        extra = _EXTRAS.get(urlsplit(self._url).scheme) if isinstance(error, ImportError) else None
        how = f"; pip install 'reviewmill[{extra}]'" if extra else ""
        return StoreUnreachable(f"the model store {self.shown} cannot be used: {reason}{how}")
