"""A frame that fits a terminal: columns and rows that there is no room for are left out, and rows are counted."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.dashboard.cells import Column, Section
from cli.output import harmless

_GAP = 2
#: A title and the names of the columns.
_ABOVE_ROWS = 2


def frame(headline: str, sections: Sequence[Section], width: int, height: int | None, note: str = "") -> RenderableType:
    """Lines of at most `width` cells, and at most `height` of them; None is no limit."""
    parts: list[RenderableType] = [_line(headline, width, "bold")]
    if note:
        parts.append(_line(note, width, "red"))
    room = None if height is None else height - len(parts) - sum(1 + _ABOVE_ROWS for _ in sections)
    for section, lines in zip(sections, _lines_for_rows(sections, room), strict=True):
        parts += [Text(""), *_section(section, lines, width)]
    # A terminal too low even for the titles gets the first lines.
    return Group(*_cut(parts, height))


def _section(section: Section, lines: int, width: int) -> list[RenderableType]:
    all_ = len(section.rows) + section.beyond
    if not all_:
        return [_line(section.title, width, "bold"), _line("none", width, "dim")]
    # A single line is better filled with a row: how many there are stands in the title.
    shown = section.rows[:lines] if lines >= all_ or lines < 2 else section.rows[: lines - 1]
    parts: list[RenderableType] = [_line(f"{section.title} ({all_:,})", width, "bold")]
    parts.append(_table(section.columns, shown, width))
    if (left := all_ - len(shown)) and lines > len(shown):
        parts.append(_line(f"and {left:,} more", width, "dim"))
    return parts


def _lines_for_rows(sections: Sequence[Section], room: int | None) -> list[int]:
    """How many lines each section has for its rows and for telling of more; the first has two for each of another's."""
    wanted = [len(one.rows) + bool(one.beyond) for one in sections]
    if room is None:
        return wanted
    given = [0] * len(wanted)
    while sum(given) < min(room, sum(wanted)):
        for number in (0, *range(len(wanted))):
            if given[number] < wanted[number] and sum(given) < room:
                given[number] += 1
    return given


def _table(columns: Sequence[Column], rows: Sequence[object], width: int) -> Table:
    told = {column.name: [harmless(column.told(row)) for row in rows] for column in columns}
    kept = _that_fit(columns, told, width)
    gives_way = not kept[-1].is_number
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", expand=gives_way)
    for column in kept:
        is_last = gives_way and column is kept[-1]
        table.add_column(
            column.name,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if is_last else None,
            min_width=None if is_last else _width(column, told),
        )
    for number in range(len(rows)):
        table.add_row(*(Text(told[column.name][number]) for column in kept))
    return table


def _that_fit(columns: Sequence[Column], told: dict[str, list[str]], width: int) -> list[Column]:
    kept = list(columns)
    while len(kept) > 1 and sum(_width(one, told) + _GAP for one in kept) - _GAP > width:
        kept.remove(min(kept, key=lambda one: one.keep))
    return kept


def _width(column: Column, told: dict[str, list[str]]) -> int:
    return max(cell_len(one) for one in (column.name, *told[column.name]))


def _line(words: str, width: int, style: str) -> Text:
    line = Text(words, style=style, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line


def _cut(parts: list[RenderableType], height: int | None) -> list[RenderableType]:
    if height is None:
        return parts
    kept, lines = [], 0
    for part in parts:
        lines += part.row_count + 1 if isinstance(part, Table) else 1
        if lines > height:
            break
        kept.append(part)
    return kept
