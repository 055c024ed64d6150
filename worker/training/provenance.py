"""Where a version comes from: enough to tell what it was made of, and to make it again."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from db.claims import Claim

#: What decides the numbers of a training, beside the processor.
_LIBRARIES = ("reviewmill", "keras", "keras-hub", "tensorflow", "transformers", "tokenizers", "numpy")


def provenance_of(
    claim: Claim, base_digest: str, data: Mapping[str, Any], device: str, seconds: float
) -> dict[str, Any]:
    """What is recorded of a fine-tuned version, as JSON.

    `base` is what the training was asked to start from, and `base_digest` the digest of those weights, as the
    registry keeps it; of a student `teacher` tells the same of its teacher. `data` are the digests of the examples
    (db.provenance), `parameters` what the job was ordered with, `libraries` their versions. `device` and `seconds` are
    those of the attempt that made the version: one that went on where another was cut short did not take the whole
    time.
    """
    teacher = claim.params.get("teacher")
    taught_by = {"teacher": {"model": teacher["reference"], "digest": teacher["digest"]}} if teacher else {}
    return {
        "job": claim.job_id,
        "base": claim.params["base"],
        "base_digest": base_digest,
        **taught_by,
        "data": dict(data),
        "parameters": claim.params,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "device": device,
        "seconds": round(seconds, 1),
    }
