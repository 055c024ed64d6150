"""A checkpoint loads whole, by exact names, or not at all."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from worker.backend import keras
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.errors import CheckpointLoadError

Changed = Callable[..., Path]
Tensors = dict[str, np.ndarray]

#: One tensor of the head, by checkpoint.
HEADS = {
    "bert": "classifier.weight",
    "distilbert": "pre_classifier.weight",
    "roberta": "classifier.dense.weight",
    "xlm-roberta": "classifier.out_proj.weight",
    "albert": "classifier.bias",
}

#: The rates of all families: a family ignores the keys of the others.
NO_DROPOUT = {
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.0,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "seq_classif_dropout": 0.0,
}


def batch(model: Classifier, rows: int = 4, length: int = 9) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    ids = random.integers(5, model.settings.vocabulary, (rows, length), dtype=np.int32)
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    return {name: inputs[name] for name in model.input}


def logits(model: Classifier, training: bool = False) -> np.ndarray:
    return model(batch(model), training=training).numpy()


def refuses(directory: Path, words: str, **arguments: Any) -> None:
    with pytest.raises(CheckpointLoadError, match=re.escape(words)) as caught:
        load_classifier(directory, **arguments)
    message = str(caught.value)
    assert message.startswith(str(directory))
    assert "\n" not in message


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def cut(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: np.ascontiguousarray(tensors[name][..., :-1])}


def test_own_head_leaves_nothing_fresh(every_checkpoint: Path) -> None:
    model = load_classifier(every_checkpoint)
    assert model.fresh_variables == ()
    assert logits(model).shape == (4, len(model.labels))
    assert logits(model).dtype == np.float32


@pytest.mark.parametrize(("name", "tensor"), HEADS.items())
def test_missing_head_tensor(changed: Changed, name: str, tensor: str) -> None:
    refuses(changed(name, without(tensor)), tensor)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("bert", "bert.encoder.layer.1.attention.self.key.weight"),
        ("bert", "bert.pooler.dense.bias"),
        ("distilbert", "distilbert.transformer.layer.0.sa_layer_norm.bias"),
        ("roberta", "roberta.embeddings.token_type_embeddings.weight"),
        ("xlm-roberta", "roberta.embeddings.position_embeddings.weight"),
        ("albert", "albert.encoder.embedding_hidden_mapping_in.weight"),
    ],
)
def test_missing_encoder_tensor(changed: Changed, name: str, tensor: str) -> None:
    refuses(changed(name, without(tensor)), f"the tensor {tensor} is missing")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("bert", "classifier.weight"),
        ("bert", "bert.embeddings.word_embeddings.weight"),
        ("distilbert", "pre_classifier.bias"),
        ("roberta", "roberta.embeddings.token_type_embeddings.weight"),
        ("albert", "albert.encoder.albert_layer_groups.1.albert_layers.0.ffn.weight"),
    ],
)
def test_mis_shaped_tensor(changed: Changed, name: str, tensor: str) -> None:
    refuses(changed(name, cut(tensor)), f"the tensor {tensor} has shape")


def test_square_kernel_of_the_right_size_but_another_shape_is_refused(changed: Changed) -> None:
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    directory = changed("bert", lambda tensors: tensors | {name: np.ascontiguousarray(tensors[name].T)})
    refuses(directory, f"the tensor {name} has shape [32, 48]; by config.json it must have [48, 32]")


def test_layers_that_the_config_does_not_know_are_refused(changed: Changed) -> None:
    directory = changed("bert", config={"num_hidden_layers": 1})
    refuses(directory, "bert.encoder.layer.1.attention.output.LayerNorm.bias has no place")


def test_pickled_weights_only(changed: Changed) -> None:
    directory = changed("bert")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    refuses(directory, "only pytorch_model.bin; weights must be safetensors")


def test_unsupported_family(changed: Changed) -> None:
    refuses(changed("bert", config={"model_type": "gpt2"}), "bert, distilbert, roberta, xlm-roberta, albert")


def test_label_count_mismatch(changed: Changed) -> None:
    refuses(changed("bert", config={"id2label": {"0": "a", "1": "b"}}), "id2label in config.json names 2 classes")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hidden_act": "mish"}, "the activation 'mish' is not supported"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "is_decoder"),
        ({"num_attention_heads": 5}, "must be a multiple of the attention heads"),
    ],
)
def test_configs_that_cannot_be_built(changed: Changed, config: dict[str, Any], words: str) -> None:
    refuses(changed("bert", config=config), words)


def test_bare_encoder_needs_labels(bare: Path) -> None:
    refuses(bare, "it is a bare encoder without a classification head; give the labels")


def test_bare_encoder_gets_a_seeded_head(bare: Path) -> None:
    first, same, other = (load_classifier(bare, labels=["no", "yes"], seed=seed) for seed in (1, 1, 2))
    assert first.fresh_variables == ("logits/kernel", "logits/bias")
    assert first.problem_type == "single_label_classification"
    np.testing.assert_array_equal(logits(first), logits(same))
    assert np.abs(logits(first) - logits(other)).max() > 1e-3


def test_bare_encoder_without_pooler_gets_a_fresh_one(changed: Changed) -> None:
    def strip(tensors: Tensors) -> Tensors:
        return {name: value for name, value in tensors.items() if "pooler" not in name and "classifier" not in name}

    model = load_classifier(changed("bert", strip), labels=["no", "yes"])
    assert model.fresh_variables == (
        "pooled_dense/kernel",
        "pooled_dense/bias",
        "logits/kernel",
        "logits/bias",
    )


def test_the_encoder_of_a_bare_checkpoint_is_the_same(bare: Path, checkpoints: Path) -> None:
    model, whole = load_classifier(bare, labels=["no", "yes"]), load_classifier(checkpoints / "bert")
    inputs = batch(model)
    for name in ("pooled_output", "sequence_output"):
        np.testing.assert_array_equal(model.backbone(inputs)[name], whole.backbone(inputs)[name])


def test_own_labels_keep_the_head_and_others_replace_it(checkpoints: Path) -> None:
    own = load_classifier(checkpoints / "roberta", labels=["negative", "neutral", "positive"])
    other = load_classifier(checkpoints / "roberta", labels=["negative", "positive", "neutral"])
    assert own.fresh_variables == ()
    assert set(other.fresh_variables) == {
        f"{layer}/{part}" for layer in ("head_dense", "logits") for part in ("kernel", "bias")
    }
    assert other.labels == ("negative", "positive", "neutral")


def test_problem_type_of_a_new_head(bare: Path, checkpoints: Path) -> None:
    def chosen(directory: Path, labels: list[str], problem_type: str | None = None) -> str:
        return load_classifier(directory, labels=labels, problem_type=problem_type).problem_type

    assert chosen(bare, ["a", "b"], "multi_label_classification") == "multi_label_classification"
    assert chosen(bare, ["spam"]) == "multi_label_classification"
    assert chosen(bare, ["stars"], "regression") == "regression"
    assert chosen(checkpoints / "bert-regression", ["a", "b"]) == "single_label_classification"


def test_names_of_the_first_bert_release(changed: Changed, checkpoints: Path) -> None:
    def rename(tensors: Tensors) -> Tensors:
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, name in old.items():
            tensors = {key.replace(new, name): value for key, value in tensors.items()}
        return tensors

    model = load_classifier(changed("bert", rename))
    np.testing.assert_array_equal(logits(model), logits(load_classifier(checkpoints / "bert")))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_weights_become_float32(changed: Changed, checkpoints: Path, dtype: Any) -> None:
    directory = changed("bert", lambda tensors: {name: value.astype(dtype) for name, value in tensors.items()})
    model = load_classifier(directory)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    np.testing.assert_allclose(logits(model), logits(load_classifier(checkpoints / "bert")), atol=0.2)


def test_sharded_weights(changed: Changed, checkpoints: Path) -> None:
    directory = changed("albert")
    tensors = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    weight_map = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(tensors)}
    for shard in set(weight_map.values()):
        save_file({name: tensors[name] for name in tensors if weight_map[name] == shard}, directory / shard)
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(logits(load_classifier(directory)), logits(load_classifier(checkpoints / "albert")))


@pytest.mark.parametrize(
    ("name", "keys", "head_rate"),
    [
        (
            "bert",
            {"hidden_dropout_prob": 0.25, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.4},
            0.4,
        ),
        ("bert", {"hidden_dropout_prob": 0.25, "attention_probs_dropout_prob": 0.35}, 0.25),
        ("roberta", {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.35}, 0.0),
        ("distilbert", {"dropout": 0.25, "attention_dropout": 0.35, "seq_classif_dropout": 0.4}, 0.4),
        (
            "albert",
            {
                "hidden_dropout_prob": 0.25,
                "attention_probs_dropout_prob": 0.35,
                "classifier_dropout_prob": 0.4,
            },
            0.4,
        ),
    ],
)
def test_dropout_rates_are_the_configs(changed: Changed, name: str, keys: dict[str, float], head_rate: float) -> None:
    hidden, attention = list(keys.values())[:2]
    model = load_classifier(changed(name, config=keys))
    layers = model._flatten_layers()
    inside = [layer for layer in layers if isinstance(layer, keras.layers.MultiHeadAttention)]
    rates = {id(layer._dropout_layer): attention for layer in inside}
    heads = {id(layer): head_rate for layer in layers if layer.name in ("head_dropout", "head_input_dropout")}
    dropouts = [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]
    assert inside
    assert heads
    assert [layer.rate for layer in dropouts] == [(rates | heads).get(id(layer), hidden) for layer in dropouts]
    assert {layer._dropout for layer in inside} == {attention}


def test_dropout_acts_in_training_and_repeats_with_the_seed(every_checkpoint: Path) -> None:
    first, same, other = (load_classifier(every_checkpoint, seed=seed) for seed in (3, 3, 4))
    trained = logits(first, training=True)
    assert np.abs(trained - logits(first)).max() > 1e-4
    np.testing.assert_array_equal(trained, logits(same, training=True))
    assert np.abs(trained - logits(other, training=True)).max() > 1e-4


def test_fit_learns(every_checkpoint: Path, changed: Changed) -> None:
    model = load_classifier(changed(every_checkpoint.name, config=NO_DROPOUT), labels=["a", "b"], seed=1)
    before = {path: variable.numpy() for path, variable in model.variables_by_path().items()}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss)
    history = model.fit(batch(model, rows=8), np.array([0, 1] * 4), epochs=15, batch_size=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    after = model.variables_by_path()
    assert [path for path in before if np.array_equal(before[path], after[path].numpy())] == []
