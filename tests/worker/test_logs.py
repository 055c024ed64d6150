"""What a worker logs is seen, also while native code is kept quiet."""

import subprocess
import sys

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
