"""What is known of this machine's CPU, and what follows for number formats."""

from pathlib import Path

import pytest

from worker.cpu import cpu_flags, cpu_kind, cpu_vendor, multiplies_faster_in_bfloat16

AMD, INTEL = "AuthenticAMD", "GenuineIntel"
TOLD = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Some: CPU
flags\t\t: fpu avx2 avx512f avx512_bf16
bugs\t\t:

processor\t: 1
vendor_id\t: AuthenticAMD
flags\t\t: fpu
"""


@pytest.mark.parametrize(
    ("flags", "vendor", "faster"),
    [
        ({"avx2"}, AMD, False),
        ({"avx2", "avx512f"}, INTEL, False),
        ({"avx512f", "avx512_bf16"}, AMD, True),
        ({"avx512f", "avx512_bf16"}, INTEL, False),
        ({"avx512f", "avx512_bf16", "amx_bf16"}, INTEL, True),
        ({"asimddp", "bf16"}, "", False),
    ],
)
def test_bfloat16_is_multiplied_in_where_it_is_faster(flags: set[str], vendor: str, faster: bool) -> None:
    assert multiplies_faster_in_bfloat16(flags, vendor) is faster


def test_the_first_processor_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(TOLD)
    monkeypatch.setattr("worker.cpu._CPUINFO", told)
    assert cpu_vendor() == INTEL
    assert cpu_flags() == {"fpu", "avx2", "avx512f", "avx512_bf16"}
    assert cpu_kind().endswith("+avx2+avx512f+avx512_bf16")


def test_an_arm_processor_names_them_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nFeatures\t: fp asimddp bf16\n")
    monkeypatch.setattr("worker.cpu._CPUINFO", told)
    assert (cpu_vendor(), cpu_flags()) == ("", {"fp", "asimddp", "bf16"})


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.cpu._CPUINFO", tmp_path / "none")
    assert (cpu_vendor(), cpu_flags()) == ("", set())
