"""What transformers on PyTorch makes of checkpoints, run by the interpreter of `.venv-peers`.

Standard input: {"directories": [...], "rows": [[text, pair or null], ...]} as JSON. Standard output: for each directory
how it was loaded and, for each row, {label: probability}.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers


def main() -> None:
    """Answer for every directory."""
    transformers.logging.set_verbosity_error()
    asked = json.loads(sys.stdin.read())
    print(json.dumps([_answer(Path(directory), asked["rows"]) for directory in asked["directories"]]))


def _answer(directory: Path, rows: list[tuple[str, str | None]]) -> dict[str, Any]:
    model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    classify = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    return {
        "class": type(model).__name__,
        "labels": [model.config.id2label[index] for index in range(model.config.num_labels)],
        "problem_type": model.config.problem_type,
        "not_loaded": sorted(map(str, [*loading["missing_keys"], *loading["unexpected_keys"]])),
        "probabilities": [_probabilities(classify, text, pair) for text, pair in rows],
    }


def _probabilities(classify: Any, text: str, pair: str | None) -> dict[str, float]:
    inputs = text if pair is None else {"text": text, "text_pair": pair}
    return {one["label"]: one["score"] for one in classify(inputs, top_k=None, truncation=True)}


if __name__ == "__main__":
    main()
