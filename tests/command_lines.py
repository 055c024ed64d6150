"""Command lines as pages and compose files show them, read as the program itself would read them."""

from collections.abc import Sequence

import click

from cli.main import reviewmill


def check_command_line(words: Sequence[str]) -> None:
    """Raise click's UsageError where `reviewmill WORDS` is not a command with options that there are. Runs nothing."""
    group: click.Command = reviewmill
    context = click.Context(reviewmill, info_name="reviewmill")
    rest = list(words)
    while isinstance(group, click.Group) and rest:
        name, group, rest = group.resolve_command(context, rest)
        assert group is not None
        context = click.Context(group, info_name=name, parent=context)
    assert not isinstance(group, click.Group), f"{words}: which of {group.list_commands(context)}?"
    group.make_parser(context).parse_args(list(rest))
