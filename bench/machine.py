"""What a figure was measured on: without it, it says nothing."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from worker.cpu import cpu_flags, first_processor

#: Instructions that decide the speed of products of matrices, as the kernel names them.
_FLAGS = ("avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")
_OURS = (
    "openvino",
    "nncf",
    "onnxruntime",
    "tensorflow",
    "keras",
    "keras-hub",
    "tokenizers",
    "transformers",
    "sqlalchemy",
    "celery",
)


def describe_machine() -> dict[str, Any]:
    """The machine, the libraries and the day. No name and no path: results are checked in."""
    flags = cpu_flags()
    return {
        "cpu": first_processor().get("model name") or platform.processor(),
        "flags": {flag: flag in flags for flag in _FLAGS},
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": gpus(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": versions(_OURS),
        "load_at_start": round(os.getloadavg()[0], 2),
        "date": datetime.now(UTC).date().isoformat(),
    }


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs, as the driver tells them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return listed.stdout.splitlines() if listed.returncode == 0 else []


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
