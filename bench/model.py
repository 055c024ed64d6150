"""The classifier that everybody runs: DistilBERT-base in shape, random weights, a real WordPiece tokenizer.

Speed does not depend on what the weights say. What the labels are worth does: none is counted here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS = 6, 768, 12, 3072, 30522, 512
_LABELS = ("NEGATIVE", "POSITIVE")
_SEED = 4
_SPREAD = 0.02
_TOKENS = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def make_model(directory: Path) -> Path:
    """Write the checkpoint, a Hugging Face directory, if it is not there yet."""
    from safetensors.numpy import save_file

    if not (directory / "model.safetensors").exists():
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / "config.json", _config())
        _write(directory / "tokenizer_config.json", _tokenizer_config())
        _write(directory / "tokenizer.json", _tokenizer())
        save_file(_weights(), directory / "model.safetensors", {"format": "pt"})
    return directory


def operations(tokens: int) -> int:
    """Multiplications and additions of one review of so many tokens, as the published model computes it.

    Products of matrices alone; the rest is some per cent.
    """
    dense = 2 * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * INNER) * tokens
    attention = 2 * (2 * HIDDEN) * tokens * tokens
    return LAYERS * (dense + attention) + 2 * (HIDDEN * HIDDEN + HIDDEN * len(_LABELS))


def _config() -> dict[str, Any]:
    names = dict(enumerate(_LABELS))
    return {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": HIDDEN,
        "hidden_dim": INNER,
        "n_heads": HEADS,
        "n_layers": LAYERS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
        "id2label": names,
        "label2id": {label: index for index, label in names.items()},
    }


def _tokenizer_config() -> dict[str, Any]:
    tokens = {f"{role}_token": token for role, token in _TOKENS.items()}
    inputs = ["input_ids", "attention_mask"]
    return tokens | {
        "model_max_length": POSITIONS,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": inputs,
    }


def _tokenizer() -> dict[str, Any]:
    from producer.checkpoints import minilm_directory

    # Its makers cut at 128 tokens and pad to as many; nobody here wants either.
    read = json.loads((minilm_directory() / "tokenizer.json").read_text(encoding="utf-8"))
    return {**read, "truncation": None, "padding": None}


def _weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(_SEED)
    weights: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int) -> None:
        weights[f"{name}.weight"] = (random.standard_normal(shape, np.float32) * _SPREAD).astype(np.float32)

    def add_dense(name: str, size: int, inputs: int) -> None:
        add(name, size, inputs)
        weights[f"{name}.bias"] = np.zeros(size, np.float32)

    def add_norm(name: str) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)

    add("distilbert.embeddings.word_embeddings", VOCABULARY, HIDDEN)
    add("distilbert.embeddings.position_embeddings", POSITIONS, HIDDEN)
    add_norm("distilbert.embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"distilbert.transformer.layer.{number}"
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            add_dense(f"{layer}.attention.{part}", HIDDEN, HIDDEN)
        add_norm(f"{layer}.sa_layer_norm")
        add_dense(f"{layer}.ffn.lin1", INNER, HIDDEN)
        add_dense(f"{layer}.ffn.lin2", HIDDEN, INNER)
        add_norm(f"{layer}.output_layer_norm")
    add_dense("pre_classifier", HIDDEN, HIDDEN)
    add_dense("classifier", len(_LABELS), HIDDEN)
    return weights


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
