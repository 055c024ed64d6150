"""`reviewmill results --count` and `--group-by`: how many there are."""

from collections.abc import Iterable, Sequence
from typing import TextIO

from cli.output import notes, print_table, share, to_json
from cli.records import write_records
from db.result_groups import METADATA, Group


def write_count(count: int, format_: str, file: TextIO) -> None:
    """Write the number; as a document where the format is of documents."""
    file.write(f"{to_json({'count': count}) if format_ in ('json', 'jsonl') else count}\n")


def write_groups(groups: Iterable[Group], names: Sequence[str], format_: str, file: TextIO) -> None:
    """Write groups, a row each; `names` are what they are grouped by."""
    if format_ == "table":
        _write_table(list(groups), names, file)
        return
    records = (
        {**dict(zip(names, one.values, strict=True)), "count": one.count}
        | {"mean_probability": one.mean_probability, "share": one.share}
        for one in groups
    )
    write_records(format_, records, file)


def _write_table(groups: Sequence[Group], names: Sequence[str], file: TextIO) -> None:
    if not groups:
        notes.print("No predictions match.")
        return
    figures = ("count", "mean probability", "share")
    rows = [(*one.values, f"{one.count:,}", f"{one.mean_probability:.4f}", share(one.share)) for one in groups]
    print_table((*(name.removeprefix(METADATA) for name in names), *figures), rows, numbers=figures, file=file)
