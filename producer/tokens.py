"""How many tokens of a checkpoint texts have, counted as the worker will, without a model library."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from producer.errors import ModelError

_TOKENIZER = "tokenizer.json"


class TokenCount(NamedTuple):
    """The tokens that a model reads of a text, special ones included, and whether it reads only a part."""

    tokens: int
    truncated: bool


def count_tokens(directory: Path, texts: Sequence[tuple[str, str | None]], max_tokens: int) -> list[TokenCount] | None:
    """Count the tokens of texts, some with a pair, by the tokenizer.json of a checkpoint directory.

    None where the directory has none: its tokenizer is then made by a library that is not loaded here. Raises
    ModelError.
    """
    if not (directory / _TOKENIZER).is_file():
        return None
    tokenizer = _load(directory, max_tokens)
    encodings = tokenizer.encode_batch_fast([(text, pair) if pair else text for text, pair in texts])
    return [TokenCount(len(encoding.ids), bool(encoding.overflowing)) for encoding in encodings]


def _load(directory: Path, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(directory / _TOKENIZER))
    except Exception as error:  # its Rust part raises no other kind
        raise ModelError(f"{directory}: {_TOKENIZER} cannot be read: {str(error).splitlines()[0]}") from error
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    tokenizer.no_padding()
    return tokenizer
