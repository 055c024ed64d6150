"""The OpenVINO engine: a graph built from the checkpoint's weights, on the CPU, without TensorFlow."""
