"""The notifier: job ends that wait in SQL to be told of are posted, and tried again as long as they may be."""

import threading
from dataclasses import dataclass, field

import structlog

from db.database import Database
from db.notifications import Delivery, claim_notification, is_any_due, note_not_sent, note_sent
from db.urls import masked
from worker.post import Answer, post

#: Seconds between two looks: whoever waits for the end of a job wants to hear of it soon.
_LOOK_S = 1.0
#: Seconds until the next look where the database was away, or something else was wrong.
_AFTER_ERROR_S = 5.0
#: Longer than a post takes to give up.
_LEASE_S = 60.0

log = structlog.get_logger()


@dataclass(slots=True)
class Notifier:
    """Posts what is due, one after another. Any number may do so at once: each notification has one holder.

    Without a secret nothing can be signed; what is due is left to others, and that is said once.
    """

    database: Database
    owner: str
    secret: str = field(repr=False)
    _has_said: bool = False

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Post until `stopping` is set, in a thread that ends with the process."""
        thread = threading.Thread(target=self.run, args=(stopping,), name="notifier", daemon=True)
        thread.start()
        return thread

    def run(self, stopping: threading.Event) -> None:
        """Post until `stopping` is set."""
        while not stopping.is_set():
            stopping.wait(self._post_safely())

    def post_next(self) -> bool:
        """Make one attempt at what is due; return whether there was anything. Raises DatabaseError."""
        with self.database.read() as connection:
            if not is_any_due(connection):
                return False
        if not self.secret:
            self._say_what_is_missing()
            return False
        with self.database.write() as connection:
            delivery = claim_notification(connection, self.owner, _LEASE_S)
        if delivery is not None:
            self._end(delivery, post(delivery, self.secret))
        return delivery is not None

    def _end(self, delivery: Delivery, answer: Answer) -> None:
        code, facts = answer.status_code, {"job": delivery.job.id, "attempt": delivery.attempt}
        with self.database.write() as connection:
            if answer.is_taken:
                note_sent(connection, delivery, code)
            else:
                note_not_sent(connection, delivery, answer.reason, code, final=answer.is_final)
        if answer.is_taken:
            log.info("job's end told", action="notified", url=masked(delivery.url), **facts)
        else:
            reason = answer.reason
            log.warning("job's end not told", action="notify_failed", url=masked(delivery.url), reason=reason, **facts)

    def _say_what_is_missing(self) -> None:
        if not self._has_said:
            self._has_said = True
            log.warning(
                "notifications wait for a process with REVIEWMILL_NOTIFY_SECRET, which this one has not",
                action="notify_without_secret",
            )

    def _post_safely(self) -> float:
        """Post what is due; return the seconds until the next look."""
        try:
            return 0.0 if self.post_next() else _LOOK_S
        except Exception as error:
            # Whatever it is, the next look must come: without it nobody is told.
            log.warning("notifier failed", action="notifier_failed", reason=f"{type(error).__name__}: {error}")
            return _AFTER_ERROR_S
