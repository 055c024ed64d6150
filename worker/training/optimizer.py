"""AdamW in as few passes over the weights as TensorFlow can make of it."""

from collections.abc import Sequence
from typing import Any

from worker.backend import keras, tf


class FusedAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter, 2019) as Keras has it, step for step, with TensorFlow's own kernel for Adam.

    Keras writes a step as a dozen operations and more, each of which reads and writes arrays as large as the weights.
    Of MiniLM a step took 0.33 s of an AVX2 core, and takes 0.13.

    The global norm is that of the gradients, as PyTorch has it: Keras counts each row of an embedding as often as it
    was met in the batch. Clipping by it multiplies no gradient. The first moments m are kept as m / c and the second
    ones v as v / d, with numbers c and d that are the same for all: where a step's gradients g count as s g,

        m' = b m + (1 - b) s g   is   m' / c' = b' m / c + (1 - b') g   with   c' = b c + (1 - b) s,   b' = b c / c',

    and so for v with s^2. So what is kept are two numbers more than Keras keeps, and moments that c and d make Keras's.
    """

    def build(self, variables: Sequence[Any]) -> None:
        """Make the variables of the optimizer."""
        if not self.built:
            self._scales = [
                self.add_variable(shape=(), name=name, initializer="zeros") for name in ("first_scale", "second_scale")
            ]
        super().build(variables)

    def _clip_gradients(self, grads: Sequence[Any]) -> Sequence[Any]:
        return grads  # `_backend_update_step` does

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # Those of an embedding come as its rows.
        dense = [tf.convert_to_tensor(gradient) for gradient in grads]
        given = self._kernel_arguments(self._factor(dense), tf.cast(learning_rate, tf.float32))
        for gradient, variable in zip(dense, trainable_variables, strict=True):
            at = self._get_variable_index(variable)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=self._momentums[at].value.handle,
                v=self._velocities[at].value.handle,
                grad=gradient,
                **given,
            )

    def _factor(self, gradients: Sequence[Any]) -> Any:
        """By what the gradients count, so that their norm is `global_clipnorm` at most; not finite where it is not."""
        if not self.global_clipnorm:
            return tf.constant(1.0)
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(gradient) for gradient in gradients]))
        return self.global_clipnorm * tf.minimum(1.0 / norm, 1.0 / self.global_clipnorm) + (norm - norm)

    def _kernel_arguments(self, factor: Any, learning_rate: Any) -> dict[str, Any]:
        """What the kernel needs to keep moments that are scaled anew by this step; notes their new scales."""
        steps = tf.cast(self.iterations + 1, tf.float32)
        first, second = (scale.value + 0.0 for scale in self._scales)
        new_first = self.beta_1 * first + (1.0 - self.beta_1) * factor
        new_second = self.beta_2 * second + (1.0 - self.beta_2) * factor * factor
        for scale, value in zip(self._scales, (new_first, new_second), strict=True):
            scale.assign(value)
        root = tf.sqrt(new_second)
        return {
            "beta1_power": tf.pow(self.beta_1, steps),
            "beta2_power": tf.pow(self.beta_2, steps),
            "beta1": self.beta_1 * first / new_first,
            "beta2": self.beta_2 * second / new_second,
            "lr": learning_rate * new_first / root,
            "epsilon": self.epsilon / root,
        }

    def _apply_weight_decay(self, variables: Any) -> None:
        """Shrink what decays by one product, which takes the place of the variable's array."""
        # Once for all: the learning rate is computed anew, in a dozen operations, wherever it is read.
        kept = 1.0 - self.weight_decay * tf.cast(self.learning_rate, tf.float32)
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.assign(variable.value * kept)
