"""Files elsewhere: in object stores and on web servers, through fsspec."""

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from fsspec.core import url_to_fs

from producer.errors import SourceError
from producer.sources.finding import nothing_in, readable_of

#: The extra of this package that brings what a scheme needs.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}
#: In a URL, who asks: user and password.
_USER = re.compile(r"(?<=:)//[^/\s]*@")
#: A server that says nothing for so long is given up.
_PATIENCE_S = 60


class RemoteFile:
    """A file that fsspec opens: of an object store in pieces, of a web server in one go."""

    def __init__(self, url: str) -> None:
        self.name = self.label = public(url)
        self.shown = repr(self.label)
        self.extensions = [suffix.lower() for suffix in PurePosixPath(urlsplit(url).path).suffixes]
        self._url = url
        self._size: int | None = None

    def open(self) -> IO[bytes]:
        """Open the file to be read from its beginning to its end."""
        # In one piece a web server is asked once, and need neither tell a size beforehand nor be able to send parts.
        return self._opened(block_size=0, size=1) if _is_web(self._url) else self._opened()

    def open_seekable(self) -> IO[bytes] | None:
        """Open the file to be read in any order; None for a web server, which may not be able to send parts."""
        return None if _is_web(self._url) else self._opened()

    def size_bytes(self) -> int | None:
        """Return what was told when the file was opened last, which may be nothing."""
        return self._size

    def _opened(self, **options: Any) -> IO[bytes]:
        with _told_plainly(self._url):
            filesystem, path = _filesystem(self._url)
            file = filesystem.open(path, "rb", **options)
        self._size = _told_size(file)
        return BufferedReader(_Plain(file, self._url))


class _Plain(RawIOBase):
    """A file of fsspec as the standard library has them, with errors in one line and its place counted."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        with _told_plainly(self._url):
            piece = self._file.read(len(buffer))
        self._at += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _told_plainly(self._url):
            self._at = self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def find_files(url: str) -> list[str] | None:
    """The files that a URL with wildcards, or of a directory, stands for, in name order; None for any other.

    Web servers list nothing: with them it is always one file. Raises SourceError where there is no file.
    """
    if _is_web(url):
        return None
    with _told_plainly(url):
        filesystem, path = _filesystem(url)
        if glob.has_magic(path):
            found, none = sorted(filesystem.glob(path)), f"no file matches {public(url)!r}"
        elif not filesystem.isdir(path):
            return None
        else:
            found, none = readable_of(filesystem.ls(path, detail=False)), nothing_in(public(url))
    if not found:
        raise SourceError(none)
    return [filesystem.unstrip_protocol(one) for one in found]


def public(url: str) -> str:
    """The URL without what may be secret: a password, and the signature that stands behind a question mark."""
    parts = urlsplit(url)
    # Another URL may stand in the path, by mistake or chained.
    path = _USER.sub("//", parts.path)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https")


def _filesystem(url: str) -> tuple[Any, str]:
    return url_to_fs(url, **(_web_options() if _is_web(url) else {}))


def _web_options() -> dict[str, Any]:
    import aiohttp

    # A large file may well take longer than the five minutes that are given to all of it by default.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE_S, sock_read=_PATIENCE_S)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _told_size(file: Any) -> int | None:
    """The size of an open file; a web server tells it in its answer, unless it packs that."""
    response = getattr(file, "r", None)
    if response is None:
        return file.size
    headers = response.headers
    return (
        int(headers["Content-Length"])
        if {"Content-Length", "Content-Encoding"} & {*headers} == {"Content-Length"}
        else None
    )


@contextmanager
def _told_plainly(url: str) -> Iterator[None]:
    # Every file system has errors of its own, of no common kind.
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"no such file: {public(url)!r}") from None
    except ImportError as error:
        raise SourceError(_what_is_missing(url, error)) from error
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SourceError(f"{public(url)!r} can not be read: {reason.replace(url, public(url))}") from error


def _what_is_missing(url: str, error: ImportError) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in _EXTRAS:
        return f"{scheme}:// needs a package that is not installed: {error}"
    return f"{scheme}:// needs packages that are not installed; pip install 'reviewmill[{_EXTRAS[scheme]}]'"
