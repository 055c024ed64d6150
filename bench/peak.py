"""The machine's peak: the largest product of matrices that OpenVINO's kernels do here, in each number format.

`python -m bench.peak` prints operations a second; a process of its own, so that it keeps no memory. The figure is of
all cores that the process may use, a multiplication and an addition counting as two.
"""

import json
import os
import time
from typing import Any

import numpy as np

#: Rows, inner size and columns: large enough that nothing else counts.
_SIZES = (2048, 2048, 2048)
_SECONDS = 2.0
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def main() -> None:
    """Print the peak of each number format that this CPU has instructions for, and what it was measured with."""
    from worker.engines.openvino.engine import compute_formats

    peaks = {name: measure_peak(name) for name in compute_formats()}
    print(json.dumps({"with": _library(), "operations_per_second": peaks}))  # noqa: T201


def measure_peak(precision: str) -> float:
    """Operations a second of the fastest of the runs that fit in two seconds."""
    request = _compile(precision).create_infer_request()
    rows, inner, columns = _SIZES
    values = [np.random.default_rng(0).standard_normal((rows, inner), np.float32)]
    took: list[float] = []
    deadline = time.perf_counter() + _SECONDS
    while not took or time.perf_counter() < deadline:
        began = time.perf_counter()
        request.infer(values, share_inputs=True, share_outputs=True)
        took.append(time.perf_counter() - began)
    return 2 * rows * inner * columns / min(took)


def executed_in(precision: str) -> set[str]:
    """The number formats in which OpenVINO says that it computes the product."""
    operations = _compile(precision).get_runtime_model().get_ops()
    told = [operation.get_rt_info() for operation in operations]
    return {
        info["runtimePrecision"].astype(str)
        for info in told
        if info["layerType"].astype(str) in ("FullyConnected", "MatMul")
    }


def _compile(precision: str) -> Any:
    import openvino as ov

    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        "NUM_STREAMS": 1,
    }
    return ov.Core().compile_model(_product(quantized=precision == "int8"), "CPU", settings)


def _product(quantized: bool) -> Any:
    from openvino import Model
    from openvino import opset13 as ops

    rows, inner, columns = _SIZES
    left = ops.parameter([rows, inner], np.float32)
    weights = np.random.default_rng(1).standard_normal((inner, columns), np.float32)
    right = ops.constant(weights)
    if quantized:
        # As quantizers write it: unsigned left, signed right; the CPU plugin makes an 8-bit product of it.
        limit = float(np.abs(weights).max())
        product = ops.matmul(_quantize(left, 0.0, 4.0, 256), _quantize(right, -limit, limit, 255), False, False)
    else:
        product = ops.matmul(left, right, False, False)
    return Model([product], [left])


def _quantize(node: Any, low: float, high: float, levels: int) -> Any:
    from openvino import opset13 as ops

    bounds = [np.float32(low), np.float32(high)]
    return ops.fake_quantize(node, *bounds, *bounds, levels)


def _library() -> str:
    import openvino as ov

    return f"OpenVINO {ov.__version__.partition('-')[0]}, {' x '.join(map(str, _SIZES))}"


if __name__ == "__main__":
    main()
