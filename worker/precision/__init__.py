"""Precision: which number formats a model may be served in, and how that is found out."""
