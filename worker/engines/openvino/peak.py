"""The machine's peak: one large product of matrices by OpenVINO's kernels, in each number format."""

import os
import time
from typing import Any

import numpy as np

#: Rows, inner size and columns: large enough that nothing else counts.
SIZES = (2048, 2048, 2048)
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def measure_peak(precision: str, seconds: float = 2.0) -> float:
    """Operations a second of the fastest of the runs that fit in so many seconds, on all cores the process may use.

    A multiplication and an addition count as two.
    """
    request = _compile(precision).create_infer_request()
    rows, inner, columns = SIZES
    values = [np.random.default_rng(0).standard_normal((rows, inner), np.float32)]
    took: list[float] = []
    deadline = time.perf_counter() + seconds
    while not took or time.perf_counter() < deadline:
        began = time.perf_counter()
        request.infer(values, share_inputs=True, share_outputs=True)
        took.append(time.perf_counter() - began)
    return 2 * rows * inner * columns / min(took)


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

    rows, inner, columns = SIZES
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
