"""The ONNX Runtime engine: int8 on CPUs that have no instructions for products of 8-bit numbers."""
