"""Where Prometheus asks: `/metrics` of one process, with what waits in the queues beside what the process counts."""

import threading
import time
from collections.abc import Iterable

import structlog
from prometheus_client import start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.app import QUEUES
from db.backlog import BACKLOG_STATES, WAITING, Backlog, backlog
from db.database import Database
from db.errors import DatabaseError
from db.tables import PRIORITIES
from worker.metrics import REGISTRY
from worker.settings import WorkerSettings

#: The database is asked again after this long at the earliest, and for a fiftieth of the time at most.
_KEPT_S = 5.0
_REST_FACTOR = 50
#: What was told longer ago is not told any more.
_STALE_S = 60.0
#: A scrape waits so long for a new answer, and takes the last one if none comes.
_PATIENCE_S = 2.0

log = structlog.get_logger()


def serve_metrics(settings: WorkerSettings, database: Database) -> None:
    """Answer Prometheus on the port of the settings for as long as the process lives; without a port, do nothing.

    A port that cannot be had is logged, and no reason not to work.
    """
    if not settings.metrics_port:
        return
    about = {"address": settings.metrics_address, "port": settings.metrics_port}
    try:
        start_http_server(settings.metrics_port, settings.metrics_address, REGISTRY)
    except OSError as error:
        log.warning("metrics are not served", action="metrics_not_served", **about, reason=str(error))
        return
    REGISTRY.register(QueueCollector(database))
    log.info("metrics are served", action="metrics_served", **about)


class QueueCollector(Collector):
    """What waits in SQL, asked for when Prometheus asks, but seldom, and never waited for for long.

    While the database does not answer, queues are left out: no number is better than an old one.
    """

    def __init__(self, database: Database, kept_s: float = _KEPT_S) -> None:
        self._database = database
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._known: list[Backlog] = []
        self._asked_at = -_STALE_S
        self._ask_at = 0.0

    def describe(self) -> Iterable[Metric]:
        """The names, without asking for the values."""
        return queue_families()

    def collect(self) -> Iterable[Metric]:
        """Depth and age of every queue and priority, zeros too."""
        self._refresh()
        if time.monotonic() - self._asked_at > _STALE_S:
            return
        depths, ages = queue_families()
        told = {(one.kind, one.priority, one.state): one for one in self._known}
        for kind, queue in QUEUES.items():
            for priority in PRIORITIES:
                for state in BACKLOG_STATES:
                    one = told.get((kind, priority, state))
                    depths.add_metric((queue, priority, state), one.chunks if one else 0)
                oldest = told.get((kind, priority, WAITING))
                ages.add_metric((queue, priority), oldest.oldest_s if oldest else 0.0)
        yield depths
        yield ages

    def _refresh(self) -> None:
        with self._lock:
            if self._asking is None and time.monotonic() >= self._ask_at:
                # A thread of its own: a database that is cut off may take minutes to say so.
                self._asking = threading.Thread(target=self._ask, name="backlog", daemon=True)
                self._asking.start()
            asking = self._asking
        if asking is not None:
            asking.join(_PATIENCE_S)

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            with self._database.read() as connection:
                self._known = backlog(connection)
            self._asked_at = began
        except DatabaseError as error:
            log.warning("queues are not counted", action="backlog_failed", reason=str(error))
        finally:
            ended = time.monotonic()
            self._ask_at = ended + max(self._kept_s, _REST_FACTOR * (ended - began))
            self._asking = None


def queue_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    """Depth and age, without a value."""
    return (
        GaugeMetricFamily(
            "reviewmill_queue_chunks",
            "Chunks that are not over, of all hosts, by state: waiting, delayed until their next attempt, or leased.",
            labels=("queue", "priority", "state"),
        ),
        GaugeMetricFamily(
            "reviewmill_queue_oldest_chunk_age_seconds",
            "How long the oldest of the waiting chunks has waited, by the database's clock.",
            labels=("queue", "priority"),
        ),
    )
