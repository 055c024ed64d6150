"""Reviews, checkpoints and verdicts that tests are made of."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from db.checkpoint import CheckpointFacts
from db.predictions import Verdict

CHECKPOINTS = Path(__file__).parent / "checkpoints"
#: How a version was made, as the registry keeps it.
PROVENANCE = {
    "job": 7,
    "base": "minilm",
    "base_digest": "b" * 64,
    "data": {
        "digest": "d" * 64,
        "splits": {"train": {"examples": 4_312, "digest": "t" * 64}, "validation": {"examples": 1, "digest": "v" * 64}},
    },
    "parameters": {"epochs": 2, "learning_rate": 5e-05, "labels": ["1", "5"], "dropout": None},
    "libraries": {"keras": "3.15.1", "tensorflow": "2.21.0"},
    "device": "cpu@box",
    "seconds": 149.1,
}


@dataclass(frozen=True)
class SomeReview:
    """A checked row, as a producer hands it over."""

    external_id: str
    text: str
    pair: str | None = None
    extra: dict[str, object] | None = None

    @property
    def text_hash(self) -> str:
        return hashlib.sha256(f"{self.text}|{self.pair}".encode()).hexdigest()


def facts(digest: str = "d" * 64, labels: tuple[str, ...] | None = ("negative", "positive")) -> CheckpointFacts:
    return CheckpointFacts("bert", labels, "single_label_classification" if labels else None, 512, digest)


def verdict(positive: float, tokens: int = 5) -> Verdict:
    label, score = ("positive", positive) if positive >= 0.5 else ("negative", 1 - positive)
    probabilities = {"negative": 1 - positive, "positive": positive}
    return Verdict(label, score, abs(2 * positive - 1), probabilities, tokens, False, "float32")
