"""Where a job's end is to be told: checked before anything is enqueued, and waited for where the stack ends too."""

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from db.database import Database
from db.notifications import NotificationStatus, notifications_of
from db.urls import masked
from producer.environment import filled_in
from producer.errors import NotifyError
from producer.settings import ProducerSettings

_MAX_URL_CHARS = 2_000
#: A worker looks once a second, and gives a receiver ten.
_PATIENCE_S, _LOOK_S = 15.0, 0.1
_ALLOWED = "give http://HOST/PATH or https://HOST/PATH"


def check_notify(url: str | None, settings: ProducerSettings) -> str | None:
    """Return the URL, or None where nobody is to be told. Raises NotifyError for one that cannot be posted to.

    `${NAME}` in it is that variable of the environment; VariableMissing where there is none.

    The secret that signs is asked for here too: what could never be posted is not enqueued.
    """
    if url is None:
        return None
    url = filled_in(url)
    if len(url) > _MAX_URL_CHARS or not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        raise NotifyError(
            f"the --notify URL must be at most {_MAX_URL_CHARS:,} ASCII characters without spaces; {_ALLOWED}"
        )
    if not _is_http(url):
        raise NotifyError(f"--notify {masked(url)} is not a URL that can be posted to; {_ALLOWED}")
    if not settings.signing_secret:
        raise NotifyError(
            "--notify signs what it posts: set REVIEWMILL_NOTIFY_SECRET, the same here and for the workers"
        )
    return url


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def await_first_attempt(database: Database, job_id: int) -> Sequence[NotificationStatus]:
    """The notifications of a job that is over, after each was tried once; after 15 seconds as they are.

    For whoever ends the only workers there are: what is left is tried when there are workers again.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with database.read() as connection:
            found = notifications_of(connection, job_id)
        if all(one.was_tried for one in found) or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)
