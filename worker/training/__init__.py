"""Fine-tuning: labelled examples in, a checkpoint directory out."""
