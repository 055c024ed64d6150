"""`reviewmill results --count` and `--group-by`: how many there are."""

from collections.abc import Iterable, Sequence

from cli.answer import Answer
from cli.formats import Column, Kind
from cli.output import to_json
from db.result_groups import Group

_FIGURES = (Column("count", Kind.INTEGER), Column("mean_probability", Kind.NUMBER), Column("share", Kind.NUMBER))


def write_count(count: int, answer: Answer) -> int:
    """Write the number, and return it: alone, or in a document or a column where the format is of these."""
    if answer.is_table:
        answer.file.write(f"{count}\n")
    elif answer.format_ == "json":
        answer.file.write(to_json({"count": count}) + "\n")
    else:
        answer.write(_FIGURES[:1], [(count,)])
    return count


def write_groups(groups: Iterable[Group], names: Sequence[str], answer: Answer) -> int:
    """Write groups, a row each; `names` are what they are grouped by. Returns how many."""
    columns = [*(Column(name, Kind.NAME) for name in names), *_FIGURES]
    rows = ((*one.values, one.count, one.mean_probability, one.share) for one in groups)
    return answer.write(columns, rows)
