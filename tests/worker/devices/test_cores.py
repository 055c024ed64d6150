"""How cores are dealt out: evenly, neighbours together, and no physical core to two processes if that can be."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.devices.cores import TooManyProcesses, read_siblings, split_cores

#: Four physical cores of two threads each, as Linux numbers them.
HYPERTHREADED = {core: (core % 4, core % 4 + 4) for core in range(8)}
PLAIN = {core: (core,) for core in range(5)}


@pytest.mark.parametrize(
    ("siblings", "processes", "shares"),
    [
        (HYPERTHREADED, 2, [(0, 4, 1, 5), (2, 6, 3, 7)]),
        (HYPERTHREADED, 3, [(0, 4, 1, 5), (2, 6), (3, 7)]),
        (HYPERTHREADED, 4, [(0, 4), (1, 5), (2, 6), (3, 7)]),
        (HYPERTHREADED, 5, [(0, 4), (1, 5), (2, 6), (3,), (7,)]),
        (HYPERTHREADED, 8, [(0,), (4,), (1,), (5,), (2,), (6,), (3,), (7,)]),
        (PLAIN, 2, [(0, 1, 2), (3, 4)]),
        (PLAIN, 1, [(0, 1, 2, 3, 4)]),
    ],
)
def test_cores_are_dealt_out(
    siblings: Mapping[int, tuple[int, ...]], processes: int, shares: list[tuple[int, ...]]
) -> None:
    assert split_cores(siblings.keys(), processes, siblings) == shares


def test_threads_that_we_may_not_use_are_left_out() -> None:
    ours = {0, 1, 5, 6}
    assert split_cores(ours, 2, {core: HYPERTHREADED[core] for core in sorted(ours)}) == [(0, 1, 5), (6,)]


@given(st.sets(st.integers(0, 63), min_size=1), st.data())
def test_each_core_has_one_owner_and_none_is_idle(cores: set[int], data: st.DataObject) -> None:
    processes = data.draw(st.integers(1, len(cores)))
    siblings = {core: (core % 32, core % 32 + 32) for core in sorted(cores)}
    shares = split_cores(cores, processes, siblings)
    assert len(shares) == processes
    assert all(shares)
    assert sorted(core for share in shares for core in share) == sorted(cores)
    physical = [{core % 32 for core in share} for share in shares]
    if processes <= len(set().union(*physical)):
        assert sum(map(len, physical)) == len(set().union(*physical))
        assert max(map(len, physical)) - min(map(len, physical)) <= 1


def test_more_processes_than_cores_are_refused() -> None:
    with pytest.raises(TooManyProcesses, match="6 processes need as many cores, and this machine lets us use 5"):
        split_cores(PLAIN.keys(), 6, PLAIN)


def test_the_kernel_is_asked_which_threads_belong_together(tmp_path: Path) -> None:
    for core, (package, siblings) in {
        0: (1, "0,2"),
        1: (0, "1,3"),
        2: (1, "0,2"),
        3: (0, "1,3"),
        4: (0, "4-6"),
    }.items():
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    found = read_siblings({0, 1, 2, 3, 4, 9}, tmp_path)
    # Those of a socket come together; one that the kernel does not tell of is one of its own.
    assert [*found] == [1, 3, 4, 9, 0, 2]
    assert found == {1: (1, 3), 3: (1, 3), 4: (4, 5, 6), 9: (9,), 0: (0, 2), 2: (0, 2)}
