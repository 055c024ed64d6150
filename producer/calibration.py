"""Whether a training can end with a calibration: asked before anything is enqueued, not after hours of it."""

from producer.errors import CalibrationError


def check_calibration(problem_type: str, held_out: int) -> None:
    """Refuse what no temperature can be fitted to; `held_out` is how many validation examples there are.

    Raises CalibrationError.
    """
    if problem_type != "single_label_classification":
        kind = problem_type.replace("_", " ")
        raise CalibrationError(
            f"--calibrate is for labels that exclude one another, and this is {kind}; leave it out, or give one --label"
        )
    if not held_out:
        raise CalibrationError(
            "--calibrate fits a temperature on held-out texts, and none of these are held out; "
            "give a --validation-split above 0 (the default is 0.1), or more reviews"
        )
