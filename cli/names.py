"""Options that name something new."""

from collections.abc import Callable

import click

from producer.names import check_name

NameCheck = Callable[[click.Context, click.Parameter, str], str]


def names_a(what: str) -> NameCheck:
    """A callback that lets a name of a model, say, pass. Raises BadName."""

    def check(_context: click.Context, _option: click.Parameter, name: str) -> str:
        check_name(what, name)
        return name

    return check
