"""Layer normalization with a gradient of its own, in as few passes as TensorFlow can make of both."""

from collections.abc import Callable
from typing import Any

from worker.backend import tf


def normalize(x: Any, norm: tuple[Any, Any], epsilon: float) -> Any:
    """What Keras's layer makes of x, [rows, size], row by row: computed in float32, and returned in x's format.

    A norm is a gamma and a beta, each [size].
    """
    gamma, beta = (tf.cast(one, tf.float32) for one in norm)
    return tf.cast(_normalize(epsilon, tf.cast(x, tf.float32), gamma, beta), x.dtype)


def _normalize(epsilon: float, x: Any, gamma: Any, beta: Any) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta. Source: Ba et al., Layer Normalization, 2016.

    The gradient of a row x with n = (x - mean) / sqrt(variance + epsilon), for the gradient g of n, is
    (g - mean(g) - n mean(g n)) / sqrt(variance + epsilon).
    """

    @tf.custom_gradient
    def forward(x: Any, gamma: Any, beta: Any) -> tuple[Any, Callable[[Any], Any]]:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        inverse = tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + epsilon)
        normal = centred * inverse

        def gradient(upstream: Any) -> Any:
            scaled, along = upstream * gamma, upstream * normal
            mean = tf.reduce_mean(scaled, -1, keepdims=True)
            slope = tf.reduce_mean(along * gamma, -1, keepdims=True)
            of_x = (scaled - mean - normal * slope) * inverse
            return of_x, tf.reduce_sum(along, 0), tf.reduce_sum(upstream, 0)

        return normal * gamma + beta, gradient

    return forward(x, gamma, beta)
