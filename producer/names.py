"""Names that people give: to models, which become folders, and to schedules."""

from producer.errors import BadName

_LONGEST_CHARS = 200


def check_name(what: str, name: str) -> None:
    """Raise BadName for what cannot be the name of a model, or whatever else it is that gets one."""
    # Of a model the name becomes a folder and stands before the @ of a reference.
    plain = name.replace(".", "").replace("_", "").replace("-", "")
    if not (plain.isascii() and plain.isalnum()) or name.startswith("."):
        raise BadName(f"{name!r} cannot name a {what}; use letters, digits, '.', '_' and '-'")
    if len(name) > _LONGEST_CHARS:
        raise BadName(f"a {what}'s name has at most {_LONGEST_CHARS} characters, and this has {len(name):,}")
