"""A checkpoint with a real fault: one word that its tokenizer knows and its model does not.

Such a mismatch happens in life, where a token is added to the tokenizer and the embeddings are not resized.
On a CPU the embedding lookup then fails for the whole batch.
"""

import json
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from tests.samples import CHECKPOINTS

WORD = "xyzzy"


def make_poisoned_checkpoint(directory: Path) -> Path:
    """Copy the small BERT, with as many embeddings as its tokenizer had words before WORD was added to them."""
    shutil.copytree(CHECKPOINTS / "bert", directory)
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    words = len(tokenizer["model"]["vocab"])
    flags = {"single_word": True, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    tokenizer["added_tokens"].append({"id": words, "content": WORD, **flags})
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"vocab_size": words}))
    tensors = load_file(directory / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    save_file(
        tensors | {name: tensors[name][:words].copy()}, directory / "model.safetensors", metadata={"format": "pt"}
    )
    return directory
