"""The pages of a mapped file are let go, and what is in it stays what it is."""

import mmap
import os
import re
from pathlib import Path

import numpy as np
import pytest

from worker.engines.openvino.mapped import forget_pages

SIZE = 8 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(np.arange(SIZE // 8, dtype=np.int64).tobytes())
    return path


def resident_kib(path: Path) -> int:
    blocks = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    return sum(int(found[1]) for one in blocks if str(path) in one and (found := re.search(r"Rss:\s+(\d+)", one)))


def mapped(path: Path, access: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return mmap.mmap(descriptor, 0, access=access)
    finally:
        os.close(descriptor)


def test_pages_that_were_read_are_let_go_and_read_again(file: Path) -> None:
    with mapped(file, mmap.ACCESS_READ) as weights:
        numbers = np.frombuffer(weights, np.int64)
        total = int(numbers.sum())
        assert resident_kib(file) == SIZE // 1024
        forget_pages(file)
        assert resident_kib(file) == 0
        assert int(numbers.sum()) == total
        del numbers


def test_pages_that_may_have_been_written_to_are_kept(file: Path) -> None:
    with mapped(file, mmap.ACCESS_COPY) as weights:
        weights[:3] = b"own"
        forget_pages(file)
        assert weights[:3] == b"own"


def test_other_files_are_left_alone(file: Path, tmp_path: Path) -> None:
    with mapped(file, mmap.ACCESS_READ) as weights:
        assert len(weights[:]) == SIZE
        forget_pages(tmp_path / "other.bin")
        assert resident_kib(file) == SIZE // 1024
