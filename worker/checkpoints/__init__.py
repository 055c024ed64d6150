"""Hugging Face checkpoint directories to Keras models and back, and their tokenizers."""

import os

# transformers says at import that PyTorch is absent; here that is by design.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
