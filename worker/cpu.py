"""This machine's CPU: the instructions that decide how fast, and how exactly, low precision is computed."""

import platform
from collections.abc import Container
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
    told = first_processor()
    return set(told.get("flags", told.get("Features", "")).split())


def cpu_vendor() -> str:
    """As the kernel names it, `GenuineIntel` or `AuthenticAMD`; empty where it does not."""
    return first_processor().get("vendor_id", "")


def multiplies_faster_in_bfloat16(flags: Container[str], vendor: str) -> bool:
    """Whether this CPU multiplies matrices faster in bfloat16 than in float32: having the instructions is not enough.

    AMX does, and AVX-512 on an EPYC. On a Xeon whose AMX its hypervisor hides, which leaves those of AVX-512,
    TensorFlow's products took 1.8 times as long as in float32, and PyTorch's as long.
    """
    return "amx_bf16" in flags or ("avx512_bf16" in flags and vendor == "AuthenticAMD")


def first_processor() -> dict[str, str]:
    """What the kernel tells of the first one, by its own names; nothing where it does not tell."""
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text().partition("\n\n")[0]
    lines = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
