"""Whether the model libraries load at all, each in a process of its own: a broken one may take its process with it."""

import subprocess
import sys
from collections.abc import Iterator

from cli.checks.finding import Finding, ok, wrong
from cli.checks.patient import Patient

NAME = "libraries"
#: How each is loaded: as a worker does it.
LIBRARIES = {
    "tensorflow and keras": "import worker.backend",
    "transformers": "import transformers",
    "openvino": "import openvino",
    "onnxruntime": "import onnxruntime",
    "nncf": "import nncf",
}
_TIMEOUT_S = 180


def check(patient: Patient) -> Iterator[Finding]:
    """Load each, where it is asked for: it takes many seconds."""
    if not patient.scope.deep:
        return
    found = [finding for name, statement in LIBRARIES.items() if (finding := _load(name, statement)) is not None]
    yield from found or [ok(NAME, f"{', '.join(LIBRARIES)} load")]


def _load(name: str, statement: str) -> Finding | None:
    try:
        child = subprocess.run(  # noqa: S603 (the statements above)
            [sys.executable, "-c", statement],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return wrong(
            NAME, f"{name} did not load in {_TIMEOUT_S} s", "see whether this machine has memory and CPU to spare"
        )
    if child.returncode == 0:
        return None
    said = [line for line in child.stderr.splitlines() if line.strip()]
    reason = said[-1] if said else f"its process ended with {child.returncode}"
    return wrong(NAME, f"{name} does not load: {reason}", "install it again: pip install --force-reinstall")
