"""URLs that may hold secrets, fit to be shown."""

from urllib.parse import urlsplit


def masked(url: str) -> str:
    """The URL without its user, password, query and fragment, each shown as `***` where there is one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    _, at, host = parts.netloc.rpartition("@")
    query, fragment = (mark + "***" if part else "" for mark, part in (("?", parts.query), ("#", parts.fragment)))
    return f"{parts.scheme}://{'***@' if at else ''}{host}{parts.path}{query}{fragment}"
