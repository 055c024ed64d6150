"""This machine's CPU: the instructions that decide how fast, and how exactly, low precision is computed."""

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
#: As the kernel names them. Without VNNI, products of 8-bit numbers are summed in 16 bits, which may saturate.
_TELLING = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimddp",
    "bf16",
    "i8mm",
)


def cpu_kind() -> str:
    """As in `x86_64+avx2+avx512f`: equal for two machines whose numbers and speed in low precision are alike."""
    flags = cpu_flags()
    return "+".join([platform.machine(), *(name for name in _TELLING if name in flags)])


def cpu_flags() -> set[str]:
    """The instructions that the kernel names; none where it does not tell them."""
    if not _CPUINFO.exists():
        return set()
    lines = (line.partition(":") for line in _CPUINFO.read_text().splitlines())
    return next((set(value.split()) for name, _, value in lines if name.strip() in ("flags", "Features")), set())
