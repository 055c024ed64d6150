"""Schedules whose time has come become runs that wait to be taken."""

import structlog

from db.clock import database_time
from db.database import Database
from db.schedule_runs import fire
from db.schedules import StoredSchedule, due_schedules
from producer.cron import Cron
from producer.errors import CronError

log = structlog.get_logger()


def fire_due(database: Database) -> int:
    """Fire every schedule that is due, once each; return how many fired. Raises DatabaseError.

    Any number of processes may do so at once. The times that were missed while none did are made up for by one run.
    """
    with database.read() as connection:
        due = due_schedules(connection)
    return sum(_fire(database, schedule) for schedule in due)


def _fire(database: Database, schedule: StoredSchedule) -> bool:
    with database.write() as connection:
        try:
            coming = Cron(schedule.cron, schedule.timezone).next_after(database_time(connection))
        except CronError as error:
            # A zone that this machine does not know, perhaps; the other schedules are to fire all the same.
            log.warning("schedule cannot fire", action="schedule_unreadable", name=schedule.name, reason=str(error))
            return False
        state = fire(connection, schedule, coming)
    if state is None:
        return False
    log.info("schedule fired", action="schedule_fired", name=schedule.name, run=state, next=coming.isoformat())
    return True
