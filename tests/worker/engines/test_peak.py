"""The peak of a number format is measured in that format."""

import pytest

from worker.engines.openvino import peak
from worker.engines.openvino.engine import compute_formats


@pytest.mark.parametrize(("precision", "computed"), [("float32", {"f32"}), ("int8", {"u8", "i8"})])
def test_the_product_is_computed_in_its_own_format(precision: str, computed: set[str]) -> None:
    told = [operation.get_rt_info() for operation in peak._compile(precision).get_runtime_model().get_ops()]
    kinds = ("FullyConnected", "MatMul")
    found = {one["runtimePrecision"].astype(str) for one in told if one["layerType"].astype(str) in kinds}
    assert found
    assert found <= computed


def test_every_format_of_this_cpu_has_a_peak() -> None:
    for precision in compute_formats():
        assert peak.measure_peak(precision, seconds=0.0) > 1e6
