"""Sets of ids that may have ten million members, at a byte for each id that could be one."""

from collections.abc import Iterable, Iterator


class IdSet:
    """Whole numbers from 1, as databases give them to rows. It takes as many bytes as its largest member."""

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, ids: Iterable[int]) -> None:
        """Take ids in; 0, which stands for a review that was deleted, is passed over."""
        ids = list(ids)
        if ids and (missing := max(ids) + 1 - len(self._marks)) > 0:
            self._marks.extend(bytes(max(missing, len(self._marks))))
        for id_ in ids:
            self._marks[id_] = id_ > 0

    def __contains__(self, id_: int) -> bool:
        return id_ < len(self._marks) and self._marks[id_] == 1

    def members(self) -> Iterator[int]:
        """Every member, the smallest first."""
        at = self._marks.find(1)
        while at >= 0:
            yield at
            at = self._marks.find(1, at + 1)

    def absent(self, below: int) -> Iterator[int]:
        """Every id below that number which is no member, the smallest first."""
        at = self._marks.find(0, 1, below)
        while at >= 0:
            yield at
            at = self._marks.find(0, at + 1, below)
        yield from range(max(1, len(self._marks)), below)
