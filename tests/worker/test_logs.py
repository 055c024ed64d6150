"""What a worker logs is seen, also while native code is kept quiet."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, structlog
from worker.logs import log_to_stderr
from worker.silence import silent_standard_error

log_to_stderr()
log = structlog.get_logger()
log.info("chunk claimed", action="before")
with silent_standard_error():
    os.write(2, b"native chatter")
    log.info("chunk claimed", action="meanwhile", text="caf\u00e9")
log.info("chunk claimed", action="after")
try:
    with silent_standard_error():
        os.write(2, b"native despair")
        raise RuntimeError("it does not load")
except RuntimeError:
    log.info("chunk claimed", action="failed")
"""


def test_nothing_is_lost_of_the_log_while_native_code_is_silenced() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    actions = [word for word in ran.stderr.split() if word.startswith("action=")]
    assert actions == ["action=before", "action=meanwhile", "action=after", "action=failed"]
    assert "caf\u00e9" in ran.stderr
    assert "native chatter" not in ran.stderr
    assert "native despair" in ran.stderr
    assert ran.stdout == ""


FORMS = """
import logging, sys, threading, warnings
import structlog
from worker.logs import log_to_stderr

log_to_stderr()
log = structlog.get_logger()
log.info("a thing", action="thing", text="caf\u00e9\\nau lait", share=float("nan"))
log.debug("a small thing", action="small_thing")
logging.getLogger("celery.redirected").warning("connection %s", "lost")
logging.getLogger("celery.redirected").info("chatter")
warnings.warn("soon gone")
try:
    raise RuntimeError("in a library")
except RuntimeError:
    logging.getLogger("kombu").exception("it failed")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError("at the end")
"""

HEARTBEAT = """
import threading, time
from db.claims import Claim
from db.database import Database
from worker.lease import Heartbeat
from worker.logs import about, log_to_stderr

log_to_stderr()
claims = [Claim(7, 2, "me", 3, "score", "normal", None, {}, [1], 0, 0, False, False)]
database = Database("postgresql://nobody@127.0.0.1:9/nowhere")
with about(claims):
    heartbeat = Heartbeat(database, claims, 2.0, threading.Event(), time.monotonic())
with heartbeat:
    heartbeat._thread.join(30)
"""

COMMAND = """
import structlog
from cli.main import reviewmill

reviewmill.get_command(None, "jobs")
log = structlog.get_logger()
log.info("a ring", action="rung")
log.warning("no ring", action="not_rung")
"""


def said(program: str, log_format: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "REVIEWMILL_LOG_FORMAT": log_format}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)


def test_as_json_every_line_is_an_object_whoever_logs() -> None:
    ran = said(FORMS, "json")
    assert ran.stdout == ""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in ran.stderr.split("\n") if line]
    actions = [(line["action"], line["level"]) for line in lines]
    uncaught = ("uncaught_error", "critical")
    libraries = [("library", "warning")] * 2 + [("library", "error")]
    assert actions == [("thing", "info"), *libraries, uncaught, uncaught]
    assert (lines[0]["text"], lines[0]["share"], lines[0]["event"]) == ("caf\u00e9\nau lait", "NaN", "a thing")
    assert [line["logger"] for line in lines[1:4]] == ["celery.redirected", "py.warnings", "kombu"]
    assert lines[1]["event"] == "connection lost"
    last = [line["exception"].split("\n")[-1] for line in lines[3:]]
    assert last == ["RuntimeError: in a library", "ZeroDivisionError: division by zero", "KeyError: 'at the end'"]


def test_for_people_it_is_the_same_in_words() -> None:
    ran = said(FORMS, "console")
    actions = [word for word in ran.stderr.split() if word.startswith("action=")]
    assert actions == ["action=thing", *["action=library"] * 3, *["action=uncaught_error"] * 2]
    assert "KeyError: 'at the end'" in ran.stderr


def test_the_thread_that_keeps_a_lease_tells_whose() -> None:
    lines = [json.loads(line) for line in said(HEARTBEAT, "json").stderr.split("\n") if line]
    assert lines
    for line in lines:
        assert (line["action"], line["job"], line["chunk"], line["attempt"]) == ("renew_failed", 3, 7, 2)


def test_a_command_s_answer_is_not_mixed_with_what_it_logs() -> None:
    ran = said(COMMAND, "console")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "action=not_rung" in ran.stderr
    assert "action=rung" not in ran.stderr
