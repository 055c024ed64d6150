"""How a process's cores are shared among operations."""

import pytest

from worker.parallelism import share_cores


# Two of oneDNN's products at the same time break the heap now and then on CPUs without AMX: a training died of it.
@pytest.mark.parametrize("flags", [set(), {"avx2"}, {"avx2", "avx512f", "avx512_vnni", "avx512_bf16"}])
@pytest.mark.parametrize("cores", [1, 2, 3, 64])
def test_operations_run_one_after_the_other_each_on_all_cores(cores: int, flags: set[str]) -> None:
    assert share_cores(cores, flags) == (1, cores)


@pytest.mark.parametrize(
    ("cores", "threads"), [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (4, (4, 1)), (5, (4, 2)), (8, (4, 2)), (64, (4, 16))]
)
def test_with_amx_several_run_at_once_and_no_core_is_left_out(cores: int, threads: tuple[int, int]) -> None:
    assert share_cores(cores, {"avx512f", "amx_bf16"}) == threads
