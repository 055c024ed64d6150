"""`${NAME}` in what a person writes: a variable of the environment, so that no password need be written there."""

import os
import re

from producer.errors import ProducerError

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class VariableMissing(ProducerError):
    """A variable of the environment is named that is not set."""


def filled_in(written: str) -> str:
    """The text with the variables that it names filled in. Raises VariableMissing."""
    return _VARIABLE.sub(_value, written)


def _value(found: re.Match[str]) -> str:
    value = os.environ.get(found[1])
    if value is None:
        raise VariableMissing(f"the environment has no variable {found[1]}, which ${{{found[1]}}} is to be filled with")
    return value
