"""Makes the tiny checkpoints of this directory and the reference probabilities that PyTorch gives for them.

Run by hand, with PyTorch, only when a checkpoint must change (the product and its tests do without PyTorch):

    python -m pip install "torch>=2.13" "transformers>=5.23,<6"
    python tests/checkpoints/make_checkpoints.py

Everything is seeded. Each checkpoint is random, with weights large enough that its probabilities lie well
apart, and its reference.json holds what transformers.pipeline("text-classification", top_k=None,
truncation=True) answers in float32 on the CPU, one row at a time.
"""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
#: Of the first five, one with which the probabilities of every checkpoint vary well from row to row.
SEED = 4
VOCABULARY = 320
HIDDEN = 32

SENTENCES = [
    "The battery lasts two days and the screen is bright.",
    "Terrible service, we waited an hour and the food was cold.",
    "A warm, funny and touching film with a wonderful cast.",
    "It broke after a week; the seller never answered my letters.",
    "Not bad for the price, but do not expect miracles.",
    "I have bought this coffee three times and will buy it again!",
    "The plot is thin, the jokes are old and the ending is silly.",
    "Great value: fast delivery, careful packing, everything works.",
    "Does the charger work abroad? Yes, with an adapter.",
    "Ce livre est magnifique, je le recommande à tous.",
    "Das Hotel war sauber, aber das Frühstück enttäuschend.",
    "הסרט היה נפלא והמשחק מצוין",
    "المنتج ممتاز والتوصيل سريع",
    "とても良い商品でした。また買います。",
    "Loved it 😀👍 best purchase this year ❤",
    "5/5 stars, 100% recommended, would buy at 20$ or even 30$.",
]

#: (text, pair): short, long past every limit, nearly empty, emoji, right to left, other scripts, pairs.
ROWS: list[tuple[str, str | None]] = [
    ("A wonderful film.", None),
    ("terrible", None),
    ("Not bad for the price, but the screen broke after a week.", None),
    ("The food was cold and the jokes were old. " * 30, None),
    ("", None),
    (" ", None),
    (".", None),
    ("😀👍❤ 😀", None),
    ("הסרט היה נפלא", None),
    ("المنتج ممتاز", None),
    ("とても良い商品でした", None),
    ("Frühstück à la carte, naïve café", None),
    ("zzzz qqqq unheard-of words", None),
    ("line one\nline two\ttab", None),
    ("Does the charger work abroad?", "Yes, with an adapter."),
    ("Short", "The battery lasts two days and the screen is bright. " * 20),
    ("It broke after a week and the seller never answered. " * 20, "Great value"),
    ("Is it good? " * 25, "I have bought it three times. " * 25),
    ("Fast delivery", ""),
    ("It says <pad> or [PAD] in the middle of this review.", None),
]

BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ALBERT_TOKENS = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.25,
    "layer_norm_eps": 1e-12,
}
THREE = ["negative", "neutral", "positive"]
TWO = ["NEGATIVE", "POSITIVE"]
TOPICS = ["price", "quality", "service", "delivery"]


def main() -> None:
    """Make every checkpoint anew."""
    bert, roberta = _wordpiece(), _byte_level()
    _make("bert", transformers.BertConfig(max_position_embeddings=64, **SIZES), bert, THREE)
    _make(
        "bert-gelu-new",
        transformers.BertConfig(max_position_embeddings=48, hidden_act="gelu_new", **SIZES),
        bert,
        TWO,
    )
    _make(
        "bert-regression",
        transformers.BertConfig(max_position_embeddings=40, **SIZES),
        bert,
        ["stars"],
        "regression",
    )
    _make("bert-one-class", transformers.BertConfig(max_position_embeddings=40, **SIZES), bert, ["spam"])
    _make("distilbert", _distilbert_config(), bert, TWO)
    _make("roberta", _roberta_config(transformers.RobertaConfig, 66), roberta, THREE)
    multi = _roberta_config(transformers.RobertaConfig, 50)
    _make("roberta-multi-label", multi, roberta, TOPICS, "multi_label_classification")
    _make(
        "xlm-roberta",
        _roberta_config(transformers.XLMRobertaConfig, 66),
        _xlm_roberta_tokenizer(),
        TWO,
    )
    _make("albert", _albert_config(), _albert_tokenizer(), THREE)


def _distilbert_config() -> transformers.DistilBertConfig:
    return transformers.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=HIDDEN,
        n_layers=2,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=64,
        initializer_range=0.25,
    )


def _roberta_config(kind: type, positions: int) -> transformers.PreTrainedConfig:
    sizes = SIZES | {"layer_norm_eps": 1e-5}
    return kind(max_position_embeddings=positions, type_vocab_size=1, pad_token_id=1, **sizes)


def _albert_config() -> transformers.AlbertConfig:
    sizes = SIZES | {"num_hidden_layers": 4, "hidden_act": "gelu"}
    return transformers.AlbertConfig(
        embedding_size=16, num_hidden_groups=2, inner_group_num=2, max_position_embeddings=64, **sizes
    )


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(_wordpiece_vocabulary(), unk_token="[UNK]"))
    tokenizer.add_special_tokens(BERT_TOKENS)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = _template(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _wordpiece_vocabulary() -> dict[str, int]:
    """Take characters, then words: the trainer of the library gives another vocabulary each time."""
    words = re.findall(r"[a-z]+", " ".join(SENTENCES).lower())
    letters = sorted(set("".join(SENTENCES).lower()) - {" "})
    inner = [f"##{letter}" for letter in sorted(set("".join(words)))]
    frequent = [word for word, _ in Counter(words).most_common() if len(word) > 1]
    pieces = list(dict.fromkeys([*BERT_TOKENS, *letters, *inner, *frequent]))
    return {piece: index for index, piece in enumerate(pieces[:VOCABULARY])}


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=ROBERTA_TOKENS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False)
    return tokenizer


def _xlm_roberta_tokenizer() -> Tokenizer:
    tokenizer = _unigram(ROBERTA_TOKENS)
    tokenizer.post_processor = _template(tokenizer, "<s>", "</s>", pair="<s> $A </s> </s> $B </s>")
    return tokenizer


def _albert_tokenizer() -> Tokenizer:
    tokenizer = _unigram(ALBERT_TOKENS)
    quotes = [normalizers.Replace(quote, '"') for quote in ("``", "''")]
    steps = [*quotes, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.post_processor = _template(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _unigram(tokens: list[str]) -> Tokenizer:
    """Build as the classes of transformers do, so that a directory with tokenizer.json alone reads alike."""
    tokenizer = Tokenizer(models.Unigram(_unigram_vocabulary(tokens), tokens.index("<unk>")))
    tokenizer.add_special_tokens(tokens)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _unigram_vocabulary(tokens: list[str]) -> list[tuple[str, float]]:
    """Take the mark of a space, characters, then words, the longer the likelier."""
    text = " ".join(SENTENCES)
    # ALBERT reads lower case, XLM-RoBERTa both.
    words = [f"\u2581{word}" for word in [*text.split(), *text.lower().split()]]
    characters = ["\u2581", *sorted(set(text + text.lower()) - {" "})]
    frequent = [word for word, _ in Counter(words).most_common() if len(word) > 2]
    pieces = list(dict.fromkeys([*characters, *frequent]))[: VOCABULARY - len(tokens)]
    return [(token, 0.0) for token in tokens] + [(piece, len(piece) - 12.0) for piece in pieces]


def _template(tokenizer: Tokenizer, first: str, last: str, pair: str | None = None) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair or f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )


def _make(
    name: str,
    config: transformers.PreTrainedConfig,
    tokenizer: Tokenizer,
    labels: list[str],
    problem_type: str | None = None,
) -> None:
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = problem_type
    _save_tokenizer(directory, tokenizer, config)
    _save_model(directory, config)
    reference = {"rows": [_answer(directory, text, pair) for text, pair in ROWS]}
    (directory / "reference.json").write_text(json.dumps(reference, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _save_tokenizer(directory: Path, tokenizer: Tokenizer, config: transformers.PreTrainedConfig) -> None:
    directory.mkdir()
    tokenizer.save(str(directory / "tokenizer.json"))
    tokens = [entry["content"] for entry in json.loads(tokenizer.to_str())["added_tokens"]]
    roles = {role: _role(tokens, role) for role in ("unk", "pad", "cls", "sep", "mask")}
    usable = config.max_position_embeddings - (2 if "roberta" in config.model_type else 0)
    stated = {f"{role}_token": token for role, token in roles.items()} | {"model_max_length": usable}
    stated["tokenizer_class"] = "PreTrainedTokenizerFast"
    if config.model_type in ("bert", "albert"):
        stated["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    else:
        stated["model_input_names"] = ["input_ids", "attention_mask"]
    (directory / "tokenizer_config.json").write_text(json.dumps(stated, indent=2) + "\n", "utf-8")


def _role(tokens: list[str], role: str) -> str:
    other = {"cls": "<s>", "sep": "</s>"}.get(role, f"<{role}>")
    return next(token for token in tokens if token in (f"[{role.upper()}]", other))


def _save_model(directory: Path, config: transformers.PreTrainedConfig) -> None:
    torch.manual_seed(SEED)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Zero biases and unit norms would hide a mapping that drops them.
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            elif re.search(r"position|token_type|classifier", name):
                parameter.mul_(1.5)
    model.save_pretrained(directory)


def _answer(directory: Path, text: str, pair: str | None) -> dict[str, object]:
    classify = transformers.pipeline("text-classification", str(directory), device="cpu", dtype=torch.float32)
    inputs = text if pair is None else {"text": text, "text_pair": pair}
    scores = classify(inputs, top_k=None, truncation=True)
    tokens = classify.tokenizer(text, pair, truncation=True)["input_ids"]
    return {
        "text": text,
        "pair": pair,
        "tokens": len(tokens),
        "probabilities": {score["label"]: score["score"] for score in scores},
    }


if __name__ == "__main__":
    main()
