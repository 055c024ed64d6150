"""The machine's peak in each number format: `python -m bench.peak` prints operations a second, as JSON.

A process of its own, so that it keeps no memory.
"""

import json


def main() -> None:
    """Print the peak of each number format that this CPU has instructions for, and what it was measured with."""
    from worker.engines.openvino.engine import compute_formats
    from worker.engines.openvino.peak import measure_peak

    peaks = {name: measure_peak(name) for name in compute_formats()}
    print(json.dumps({"with": _library(), "operations_per_second": peaks}))  # noqa: T201


def _library() -> str:
    import openvino as ov

    from worker.engines.openvino.peak import SIZES

    return f"OpenVINO {ov.__version__.partition('-')[0]}, {' x '.join(map(str, SIZES))}"


if __name__ == "__main__":
    main()
