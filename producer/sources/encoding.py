"""How the characters of a text are encoded: as its first bytes say, as was told, or as its bytes let one guess."""

import codecs
import re
from contextlib import suppress
from io import BufferedReader, RawIOBase
from typing import IO, Any

from producer.errors import SourceError

UTF_8 = "utf-8"
#: The marks that texts may start with; those of UTF-32 begin like those of UTF-16.
_MARKS = [
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
#: Encodings that are guessed among. All hold ASCII as it is, so that lines and fields stand where they stood.
_GUESSED = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "iso8859_2", "koi8_r"),
    *("mac_roman", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
]
#: The most common by far, and taken where a text is as likely in it as in another.
_FIRST_GUESS = "cp1252"
#: Some that one may want to tell, for messages.
EXAMPLES = "utf-8, utf-16, latin-1, cp1252, cp1251, shift_jis, gb18030"
#: Fewer places that are not UTF-8 are slips in a text that is.
_FEWEST_FOREIGN = 3
#: And fewer than one in so many lines.
_LINES_TO_FOREIGN = 100
#: As many such places come on one that is: rather another encoding, in which some bytes look like UTF-8 by chance.
_FOREIGN_TO_UTF_8 = 4
#: Bytes of lines with such places that are guessed from; more tell no more, and take longer.
_GUESSED_FROM_BYTES = 32 * 2**10
_HIGH = re.compile(rb"[\x80-\xff]+")
_HIGH_LINES = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_DECODED_BYTES = 64 * 2**10


def told_encoding(name: str) -> str:
    """The encoding that is called so. Raises SourceError where there is none of text."""
    with suppress(LookupError, ValueError):
        found = codecs.lookup(name)
        if found._is_text_encoding and found.incrementaldecoder is not None:
            return found.name
    raise SourceError(f"no encoding is called {name!r}; there are {EXAMPLES} and others that Python knows")


def marked_encoding(sample: bytes) -> str | None:
    """The encoding that a byte order mark tells; None without one."""
    return next((encoding for mark, encoding in _MARKS if sample.startswith(mark)), None)


def is_foreign(sample: bytes) -> bool:
    """Whether the sample is plainly in another encoding than UTF-8, and not just damaged here and there."""
    with suppress(UnicodeDecodeError):
        codecs.utf_8_decode(sample, "strict", False)  # a last character may be cut off
        return False
    runs = _HIGH.findall(sample)
    foreign = sum(not _is_utf_8(run) for run in runs)
    fewest = max(_FEWEST_FOREIGN, sample.count(b"\n") // _LINES_TO_FOREIGN)
    return foreign >= fewest and foreign >= (len(runs) - foreign) * _FOREIGN_TO_UTF_8


def guessed_encoding(sample: bytes) -> str | None:
    """The likeliest encoding of a foreign sample; None where none fits."""
    from charset_normalizer import from_bytes  # hardly ever needed

    told = b"\n".join(_HIGH_LINES.findall(sample))[:_GUESSED_FROM_BYTES]
    matches = from_bytes(told, cp_isolation=_GUESSED)
    best = matches.best()
    if best is None:
        return None
    for match in matches:
        if _FIRST_GUESS in match.could_be_from_charset and match.chaos <= best.chaos:
            return _FIRST_GUESS
    return best.encoding


def recoded(sample: bytes, encoding: str) -> bytes:
    """The beginning of a text in UTF-8; a last character that is cut off is left out."""
    decoder = codecs.getincrementaldecoder(encoding)("reviewmill.mark")
    return decoder.decode(sample).encode(UTF_8, "reviewmill.mark")


def as_utf_8(file: IO[bytes], encoding: str) -> IO[bytes]:
    """The same text in UTF-8. What could not be decoded is one byte 0xff, which no UTF-8 holds."""
    return BufferedReader(_Recoded(file, encoding), _DECODED_BYTES)


class _Recoded(RawIOBase):
    """A text file, decoded and encoded again as it is read."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("reviewmill.mark")
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            piece = self._file.read(_DECODED_BYTES)
            self._ended = not piece
            self._ready = memoryview(self._decoder.decode(piece, self._ended).encode(UTF_8, "reviewmill.mark"))
        target = memoryview(buffer)
        size = min(len(target), len(self._ready))
        target[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def _is_utf_8(run: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        return bool(run.decode(UTF_8))
    return False


def _marked(error: UnicodeError) -> tuple[str | bytes, int]:
    """Go on after what cannot be decoded, leaving a mark: first a half of a surrogate pair, then the byte 0xff."""
    if isinstance(error, UnicodeDecodeError):
        return "\udcff", error.end
    if isinstance(error, UnicodeEncodeError):
        return b"\xff" * (error.end - error.start), error.end
    raise error


codecs.register_error("reviewmill.mark", _marked)
