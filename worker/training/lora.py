"""Low-rank adapters: training changes two small matrices beside a kernel instead of the kernel.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021, section 4.
"""

import numpy as np

from worker.backend import keras
from worker.checkpoints.classifier import Classifier


def add_adapters(model: Classifier, rank: int, seed: int) -> None:
    """Give the query and value projections of every attention layer Keras's own adapters, to be trained.

    These are the layers that the paper adapts, and the default of KerasHub. Keras adapts a kernel [hidden, heads,
    size] by [hidden, heads, rank] times [rank, size]. The first factor is drawn from the seed and the second is 0:
    the model says what it said before.
    """
    random = np.random.default_rng(seed)
    for layer in _projections(model):
        initializer = keras.initializers.HeUniform(seed=int(random.integers(2**31)))
        layer.enable_lora(rank, a_initializer=initializer)


def merge_adapters(model: Classifier) -> None:
    """Add what the adapters have learned to their kernels, in float32, and empty them: the model says the same."""
    for layer in _projections(model):
        if layer.lora_enabled:
            layer._kernel.assign(layer.kernel)
            layer.lora_kernel_b.assign(keras.ops.zeros_like(layer.lora_kernel_b))


def _projections(model: Classifier) -> list[keras.layers.EinsumDense]:
    names = set(model.backbone.default_lora_layer_names())
    layers = model.backbone._flatten_layers()
    return [layer for layer in layers if layer.name in names and isinstance(layer, keras.layers.EinsumDense)]
