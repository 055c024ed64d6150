"""How much of a source may come at once: beyond these bounds it is no file of reviews, but a mistake or an attack."""

from io import RawIOBase
from typing import IO, Any

#: Lists and objects inside one another. Rows of reviews have two or three; what stores and exports them stops at 1,000.
MAX_JSON_DEPTH = 64
#: Databases stop at some thousand; every record takes memory for each.
MAX_COLUMNS = 10_000
#: What may be unpacked of an archive whatever its ratio: little reviews repeat often.
FREE_UNPACKED_BYTES = 64 * 2**20


class UnpacksTooFar(Exception):
    """An archive that is small and becomes huge."""

    def __init__(self, ratio: int) -> None:
        super().__init__(
            f"it unpacks to more than {ratio:,} times its size, which reviews do not; "
            "if it is right all the same, REVIEWMILL_MAX_UNPACKED_RATIO allows more"
        )


def check_unpacked(unpacked: int, packed: int, ratio: int) -> None:
    """Raise UnpacksTooFar where so many bytes came of so few."""
    if unpacked > FREE_UNPACKED_BYTES and unpacked > ratio * packed:
        raise UnpacksTooFar(ratio)


def is_too_deep(value: object) -> bool:
    """Whether a value of JSON has more than MAX_JSON_DEPTH lists and objects inside one another."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        if not level:
            return False
        level = [inner for one in level for inner in _inside(one)]
    return True


def _inside(value: object) -> list[object]:
    """The lists and objects that stand in one."""
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in found if isinstance(one, dict | list)]


class Measured(RawIOBase):
    """A file that counts the bytes that were taken of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(len(buffer))
        self.taken += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


class Bounded(RawIOBase):
    """What is unpacked of a file. Reading it raises UnpacksTooFar as soon as it is too much for what was taken."""

    def __init__(self, unpacked: Any, packed: Measured, ratio: int) -> None:
        self._unpacked = unpacked
        self._packed = packed
        self._ratio = ratio
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._unpacked.read(len(buffer))
        self._given += len(piece)
        check_unpacked(self._given, self._packed.taken, self._ratio)
        buffer[: len(piece)] = piece
        return len(piece)
