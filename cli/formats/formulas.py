"""Cells that no spreadsheet takes for formulas.

A spreadsheet runs a cell that starts with = + - or @ (in some languages also with their wide forms), some after leaving
out a tab or a line's end. One that takes another delimiter for the right one, as many do by their language, sees cells
begin within ours. An apostrophe in front makes it words. What is put in can be taken out again, exactly: see
docs/formats.md.
"""

import json
import re

from cli.output import to_json

_SIGNS = r"=+\-@＝＋－＠"
_STARTS_CELL = re.compile(rf"[\"']*[{_SIGNS}\t\r\n]")
_FIRST = frozenset("=+-@＝＋－＠\t\r\n\"'")
#: What divides cells or rows, for us or for somebody else, with a sign behind it.
_DIVIDES = re.compile(rf"[,;\t\r\n](?=[\"']*[{_SIGNS}])")
_DIVIDES_IN_JSON = re.compile(rf"([,;]\"?)([{_SIGNS}])")


def guarded(text: str) -> str:
    """The text with an apostrophe wherever a cell could start that is a formula."""
    # Hardly any text is touched, and a search, or a look at the first character, takes a fraction of what changes it.
    if _DIVIDES.search(text):
        text = _DIVIDES.sub(r"\g<0>'", text)
    return f"'{text}" if text[:1] in _FIRST and _STARTS_CELL.match(text) else text


def guarded_json(document: str) -> str:
    """The same of a JSON document, by escapes of JSON's own: what it says stays what it says."""
    if ",-" in document:
        # Between two numbers without a space it is no sign of a text; there is a space where we write it.
        document = to_json(json.loads(document))
    if not _DIVIDES_IN_JSON.search(document):
        return document
    return _DIVIDES_IN_JSON.sub(lambda found: f"{found[1]}\\u{ord(found[2]):04x}", document)
