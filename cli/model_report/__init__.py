"""A page about one fine-tuned model version, in one file that needs no network."""
