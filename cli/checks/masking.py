"""Values fit to be shown: without passwords, tokens and other secrets."""

import re

MASK = "***"
_SECRET_NAME = re.compile(r"passw|secret|token|key|credential", re.IGNORECASE)


def masked_value(name: str, value: str) -> str:
    """The value of a setting of that name, as it may be shown."""
    if not value:
        return ""
    # One without a scheme is no URL, and may hold a password all the same.
    if "://" in value or name.lower().endswith("_url"):
        return masked_url(value)
    return MASK if _SECRET_NAME.search(name) else value


def masked_url(url: str) -> str:
    """The URL with its user, and without its password and whatever else in it is secret by its name."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return MASK
    # A file has no password, and its path may hold any character.
    if scheme == "sqlite":
        return url
    # The last of them: a password that was not quoted may hold one itself, or a slash, or a question mark.
    who, at, where = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    known = f"{user}:{MASK}" if colon else MASK
    place, question, query = where.partition("?")
    return f"{scheme}://{known if at else ''}{at}{place}{question}{'&'.join(map(_masked_part, query.split('&')))}"


def _masked_part(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={MASK}" if equals and _SECRET_NAME.search(name) else part
