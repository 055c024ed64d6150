"""Processes that find GPUs where there are none: see tests/fake_nvml."""

import os
from pathlib import Path

FIRST, SECOND = "GPU-11111111-aaaa-bbbb-cccc-000000000001", "GPU-11112222-aaaa-bbbb-cccc-000000000002"
_FOLDER = Path(__file__).parent / "fake_nvml"


def with_gpus(*gpus: str, **more: str) -> dict[str, str]:
    """What to set in the environment of processes that are to find those, UUID or UUID=NAME each."""
    named = [gpu if "=" in gpu else f"{gpu}=Test GPU" for gpu in gpus]
    path = os.pathsep.join([str(_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "FAKE_GPUS": ";".join(named), **more}
