"""Engines: given a batch of token ids and masks, logits."""
