"""The fused optimizer makes the steps that Keras's own AdamW makes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from worker.backend import keras, tf
from worker.training.learning_rate import WarmUpThenDecay
from worker.training.optimizer import FusedAdamW

STEPS = 12


def trained(make: Callable[..., Any], *, in_graph: bool, clip: float | None = 1.0) -> dict[str, np.ndarray]:
    """An embedding's rows and a dense layer's weights after some steps, and the moments of their gradients."""
    random = np.random.default_rng(3)
    embedding = keras.Variable(random.normal(size=(9, 4)).astype(np.float32), name="embedding")
    kernel = keras.Variable(random.normal(size=(4, 2)).astype(np.float32), name="kernel")
    bias = keras.Variable(random.normal(size=(2,)).astype(np.float32), name="bias")
    variables = [embedding, kernel, bias]
    optimizer = make(WarmUpThenDecay(0.05, STEPS, 0.2), weight_decay=0.5, global_clipnorm=clip)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(variables)

    def step(ids: tf.Tensor, targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = tf.gather(embedding.value, ids) @ kernel.value + bias.value
            loss = tf.reduce_mean(tf.square(logits - targets)) * 20.0
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        assert isinstance(gradients[0], tf.IndexedSlices)
        # Keras takes the norm of rows as they were met, and not of their sums, which the gradient is made of.
        given = gradients if make is FusedAdamW else [tf.convert_to_tensor(one) for one in gradients]
        optimizer.apply(given, variables)

    run = tf.function(step) if in_graph else step
    for _ in range(STEPS):
        # The same row again and again in one batch, and rows that are in none.
        ids = tf.constant(random.integers(0, 6, size=8), tf.int32)
        run(ids, tf.constant(random.normal(size=(8, 2)), tf.float32))
    return {variable.name: variable.numpy() for variable in variables} | moments(optimizer)


def moments(optimizer: keras.optimizers.AdamW) -> dict[str, np.ndarray]:
    """The moments of each variable; ours are kept divided by a number that is the same for all."""
    first, second = (one.numpy() for one in optimizer._scales) if isinstance(optimizer, FusedAdamW) else (1.0, 1.0)
    kept = {f"first {at}": first * one.numpy() for at, one in enumerate(optimizer._momentums)}
    return kept | {f"second {at}": second * one.numpy() for at, one in enumerate(optimizer._velocities)}


# Of gradients as large as these, all are clipped, some are, and none is; the last are no larger than epsilon then.
@pytest.mark.parametrize("clip", [1.0, 30.0, 1e6, None, 1e-7])
@pytest.mark.parametrize("in_graph", [True, False])
def test_weights_and_moments_are_those_of_keras(in_graph: bool, clip: float | None) -> None:
    ours, theirs = (trained(make, in_graph=in_graph, clip=clip) for make in (FusedAdamW, keras.optimizers.AdamW))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=2e-6, err_msg=name)


def test_a_row_that_no_batch_has_still_decays_and_a_bias_does_not() -> None:
    random = np.random.default_rng(3)
    row = random.normal(size=(9, 4)).astype(np.float32)[8]
    after = trained(FusedAdamW, in_graph=True)["embedding"][8]
    assert 0.5 < float(np.abs(after).sum() / np.abs(row).sum()) < 0.95
    np.testing.assert_allclose(after / row, np.full(4, after[0] / row[0]), rtol=1e-5)


def test_a_gradient_that_is_not_finite_is_seen_in_the_weights() -> None:
    weight = keras.Variable(np.ones(3, np.float32))
    optimizer = FusedAdamW(0.1, global_clipnorm=1.0)
    optimizer.build([weight])
    optimizer.apply([tf.constant([1.0, np.inf, 1.0])], [weight])
    assert not np.isfinite(weight.numpy()).any()
