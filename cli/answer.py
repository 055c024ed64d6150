"""Where an answer goes, and in which format: rows, and pages of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cli.formats import Column, write_rows
from cli.output import counted, tell, to_json


@dataclass(frozen=True, slots=True)
class Answer:
    """An open file, the format that is written to it, and its path; None for standard output."""

    format_: str
    file: IO[Any]
    output: Path | None
    raw_csv: bool

    @property
    def is_table(self) -> bool:
        """Whether it is for eyes, and has room for a few columns only."""
        return self.format_ == "table"

    def write(self, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> int:
        """Write the rows; returns how many."""
        return write_rows(self.format_, columns, rows, self.file, raw_csv=self.raw_csv)

    def write_page(
        self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], after: Callable[[], str | None]
    ) -> int:
        """Write the rows of a page, and the cursor of the next, which `after` tells once they are read.

        It is in the document of a JSON page, beside the rows under their `name`; with other formats it is said.
        """
        if self.format_ == "json":
            self.file.write(f'{{"{name}": ')
        count = self.write(columns, rows)
        cursor = after()
        if self.format_ == "json":
            self.file.write(f', "next": {to_json(cursor)}}}\n')
        elif cursor is not None:
            tell(f"There are more: the same with --after {cursor}")
        return count

    def tell(self, count: int, name: str) -> None:
        """Say how much was written to a file, or that there is nothing to see."""
        if self.output is not None:
            tell(f"{counted(count, name)} written to {self.output} as {self.format_}")
        elif not count and self.is_table:
            tell(f"No {name}s match.")
