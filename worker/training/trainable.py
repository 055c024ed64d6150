"""Which of a model's variables training may change."""

from worker.checkpoints.classifier import Classifier
from worker.checkpoints.families import FAMILIES


def freeze_encoder(model: Classifier) -> None:
    """Leave only the head to training, and what the base lacks, such as a pooler, which holds random numbers yet."""
    trained = {slot.variable for slot in FAMILIES[model.family].head} | set(model.fresh_variables)
    for path, variable in model.variables_by_path().items():
        variable.trainable = path in trained
