"""A real browser, driven by its command line: what it makes of a page, and what it looks like.

Without Chromium a test fails, so that no gap is hidden; on a person's machine, where CI is not set, it is skipped.
"""

import json
import os
import shutil
import subprocess
import tempfile
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TIMEOUT_S = 120
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=2000",
)
DARK, LIGHT = "--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"
#: A page whose script looks into another one, which it holds in a frame: a page without scripts cannot tell itself.
_LOOKING = """<!doctype html><meta charset="utf-8">
<iframe id="frame" style="border: 0; width: {width}px; height: 900px" srcdoc="{page}"></iframe>
<script>
  const frame = document.getElementById("frame");
  frame.onload = () => {{
    const page = frame.contentDocument, view = frame.contentWindow;
    const answer = document.createElement("pre");
    answer.id = "answer";
    answer.textContent = JSON.stringify({expression});
    document.body.replaceChildren(answer);
  }};
</script>"""


def find_chromium() -> str:
    """The browser's command. Fails the test where there is none, or skips it outside of CI."""
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    if os.environ.get("CI"):
        pytest.fail("there is no Chromium: apt-get install chromium")
    pytest.skip("there is no Chromium on this machine; CI has one")


def dumped(url: str, *flags: str) -> str:
    """The page as the browser has it after its scripts have run, if it has any."""
    return _run(url, "--dump-dom", *flags)


def screenshot(page: Path, image: Path, width: int, height: int, *flags: str) -> None:
    """A picture (PNG) of the page in a window of that size, in pixels."""
    _run(page.absolute().as_uri(), f"--screenshot={image}", f"--window-size={width},{height}", *flags)


def look(page: str, expression: str, width: int, *flags: str) -> Any:
    """What JavaScript finds in the page. It has `page` (document) and `view` (window); the width is in pixels."""
    quoted = page.replace("&", "&amp;").replace('"', "&quot;")
    with tempfile.TemporaryDirectory() as folder:
        looking = Path(folder) / "looking.html"
        looking.write_text(_LOOKING.format(width=width, page=quoted, expression=expression), encoding="utf-8")
        found = dumped(looking.as_uri(), *flags)
    answer = found.partition('<pre id="answer">')[2].partition("</pre>")[0]
    assert answer, found[-2_000:]
    return json.loads(unescape(answer))


def asked_for(url: str) -> list[str]:
    """The addresses that the browser asks a network for when it shows the page; there is none behind it."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(502)

        def do_CONNECT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        dumped(url, f"--proxy-server=http://127.0.0.1:{server.server_port}")
        server.shutdown()
    return asked


def _run(url: str, *flags: str) -> str:
    # A profile of its own, so that nothing is left of one test in the next.
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        command = [find_chromium(), *_FLAGS, f"--user-data-dir={profile}", *flags, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
