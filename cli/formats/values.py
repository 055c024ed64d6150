"""Values as text formats write them."""

import json
from typing import Any

from cli.output import to_json


def iso(value: Any) -> Any:
    """A time in ISO form with its zone; one that is text, or none, as it is."""
    return value if value is None or isinstance(value, str) else value.isoformat()


def json_source(value: Any) -> Any:
    """A JSON document on one line, its characters as they are rather than escaped; None for none."""
    if not isinstance(value, str):
        return None if value is None else to_json(value)
    return _unescaped(value) if "\\u" in value else value


def _unescaped(document: str) -> str:
    plain = to_json(json.loads(document))
    try:
        plain.encode()
    except UnicodeEncodeError:  # half a character, which only its escape can stand for
        return document
    return plain
