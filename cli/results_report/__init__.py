"""A page about what a model said of reviews, in one file that needs no network."""
