"""Our forward pass of a layer, and its gradients, are those of KerasHub's own layer; so are those of its parts."""

from pathlib import Path

import numpy as np
import pytest

from worker.backend import keras, tf
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.encoding import _layers
from worker.checkpoints.layer_function import LayerFunction
from worker.checkpoints.load import load_classifier
from worker.checkpoints.normalize import normalize
from worker.checkpoints.parts import Cut, join
from worker.checkpoints.transformer import TransformerLayer

BATCH, TOKENS = 3, 6
MASK = np.int32([[1] * 6, [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]])


def ours(
    layer: keras.layers.Layer,
    states: tf.Tensor,
    *,
    parts: int = 1,
    first_only: bool = False,
    products: str | None = None,
) -> tf.Tensor:
    """What our layer makes of the states, in so many parts."""
    function, cut = LayerFunction(layer, first_only=first_only, products=products), Cut(parts)
    return join(TransformerLayer(layer, function)(cut(states), cut(tf.constant(MASK))))


def gradients(layer: keras.layers.Layer, states: np.ndarray, *, first_only: bool, parts: int) -> list[np.ndarray]:
    """What comes out for tokens, and the gradients of a sum of it by the states and by each of the layer's weights.

    Of our layer in so many parts; with none, of KerasHub's.
    """
    x, weights = tf.constant(states), [weight.value for weight in layer.trainable_weights]
    pull = np.random.default_rng(7).normal(size=states.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        if parts:
            out = ours(layer, x, parts=parts, first_only=first_only)
        else:
            out = layer(x, padding_mask=MASK, training=False)
            out = out[:, 0] if first_only else out
        counted = out * pull[:, 0] if first_only else out * pull * MASK[:, :, None]
    found = tape.gradient(counted, [x, *weights])
    return [counted.numpy(), *(np.zeros(0) if one is None else tf.convert_to_tensor(one).numpy() for one in found)]


# Of three texts, in more parts than there are texts too.
@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("first_only", [False, True])
def test_a_layer_and_its_gradients_are_those_of_keras(every_checkpoint: Path, first_only: bool, parts: int) -> None:
    model: Classifier = load_classifier(every_checkpoint)
    layer = _layers(model.family, model.backbone, model.settings)[0]
    states = np.random.default_rng(3).normal(size=(BATCH, TOKENS, model.settings.hidden)).astype(np.float32)
    mine_all, theirs = (gradients(layer, states, first_only=first_only, parts=one) for one in (parts, 0))
    assert len(mine_all) == 2 + len(layer.trainable_weights) > 10
    for mine, right in zip(mine_all, theirs, strict=True):
        assert mine.shape == right.shape
        np.testing.assert_allclose(mine, right, rtol=2e-4, atol=2e-5)
    assert all(np.abs(one).max() > 1e-4 for one in mine_all[:2])


def test_layers_of_albert_are_passed_through_again(checkpoints: Path) -> None:
    model = load_classifier(checkpoints / "albert")
    layers = [layer for layer in model.layers if isinstance(layer, TransformerLayer)]
    distinct = model.settings.groups * model.settings.repetitions
    assert len({id(layer.layer) for layer in layers}) == distinct < model.settings.layers * model.settings.repetitions
    # Each variable once, however often its layer is passed through.
    assert len(model.weights) == len({id(weight) for weight in model.weights})


def normalized(layer: keras.layers.LayerNormalization, x: tf.Tensor) -> tf.Tensor:
    return normalize(x, (layer.gamma.value, layer.beta.value), layer.epsilon)


def test_normalizing_and_its_gradients_are_those_of_keras() -> None:
    random = np.random.default_rng(5)
    layer = keras.layers.LayerNormalization(epsilon=1e-6)
    x = tf.constant(random.normal(2.0, 3.0, (5, 8)).astype(np.float32))
    layer.build(x.shape)
    for weight in layer.weights:
        weight.assign(random.normal(size=8))
    pull = random.normal(size=(5, 8)).astype(np.float32)
    found = []
    for compute in (lambda: normalized(layer, x), lambda: layer(x)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = compute()
            total = tf.reduce_sum(out * pull)
        found.append([out, *tape.gradient(total, [x, *(weight.value for weight in layer.weights)])])
    for mine, right in zip(*found, strict=True):
        np.testing.assert_allclose(mine.numpy(), right.numpy(), rtol=1e-4, atol=1e-5)


def test_a_row_in_bfloat16_is_normalized_in_float32() -> None:
    layer = keras.layers.LayerNormalization(epsilon=1e-6)
    x = tf.cast(tf.constant([[256.0, 257.0, 258.0, 300.0]]), tf.bfloat16)
    layer.build(x.shape)
    out = normalized(layer, x)
    assert out.dtype == tf.bfloat16
    exact = normalized(layer, tf.cast(x, tf.float32))
    np.testing.assert_allclose(tf.cast(out, tf.float32).numpy(), exact.numpy(), rtol=0.01)


def test_only_products_are_in_bfloat16_where_that_is_asked_for(checkpoints: Path) -> None:
    model = load_classifier(checkpoints / "bert")
    layer = _layers(model.family, model.backbone, model.settings)[0]
    states = np.random.default_rng(3).normal(size=(BATCH, TOKENS, model.settings.hidden)).astype(np.float32)
    exact = ours(layer, tf.constant(states)).numpy()
    rounded = ours(layer, tf.constant(states), products="bfloat16")
    assert rounded.dtype == tf.float32
    # bfloat16 has 8 bits of precision, float32 24: states that had been rounded to it would have no more either.
    assert 1e-4 < np.abs(rounded - exact).max() < 0.05
    assert float(tf.reduce_max(tf.abs(tf.cast(tf.cast(rounded, tf.bfloat16), tf.float32) - rounded))) > 1e-4


def test_layers_that_are_alike_are_traced_once(checkpoints: Path) -> None:
    model = load_classifier(checkpoints / "bert")
    layers = _layers(model.family, model.backbone, model.settings)
    function = LayerFunction(layers[0], first_only=False, products=None)
    states = tf.ones((BATCH, TOKENS, model.settings.hidden))
    first, other = (TransformerLayer(layer, function)([states], [tf.constant(MASK)])[0] for layer in layers[:2])
    assert float(tf.reduce_max(tf.abs(first - other))) > 1e-3
    assert function._traced.experimental_get_tracing_count() == 1


def test_each_call_drops_anew_in_training_alone(checkpoints: Path) -> None:
    model = load_classifier(checkpoints / "bert", labels=["bad", "good"], dropout=0.5)
    layer = _layers(model.family, model.backbone, model.settings)[0]
    computed = TransformerLayer(layer, LayerFunction(layer, first_only=False, products=None))
    states = [tf.ones((BATCH, TOKENS, model.settings.hidden))]
    first, again, untrained, unsaid = (
        computed(states, [tf.constant(MASK)], training=training)[0].numpy() for training in (True, True, False, None)
    )
    assert np.abs(first - again).max() > 0.01
    assert np.abs(first - untrained).max() > 0.01
    np.testing.assert_array_equal(untrained, unsaid)
