"""What can go wrong in the worker room. A class's docstring is its message unless another is given."""

import inspect

#: How the lines of an error begin that tell of TensorFlow's graph or OpenVINO's source, not of what went wrong.
_GRAPH_LINES = ("Exception from src/", "Graph execution error", "Detected at node", "File ", "[[", "[Op:", "Hint: ")


def reason_of(error: BaseException) -> str:
    """One line for a person: the kind of error, and the first line of it that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    said = next((line for line in lines if line and not line.startswith(_GRAPH_LINES)), "")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class WorkerError(Exception):
    """The worker could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or ""))


class CheckpointLoadError(WorkerError):
    """A checkpoint directory cannot be made into a model."""


class EngineBuildError(WorkerError):
    """An engine could not be built of a checkpoint."""


class PrecisionError(WorkerError):
    """The precision that was asked for cannot be had on this device."""


class TokenBeyondVocabulary(WorkerError):
    """The tokenizer gives a token that the model has no embedding for."""


class UnknownReading(WorkerError):
    """A job asks for long texts to be read in a way that this version does not know."""


class CheckpointSaveError(WorkerError):
    """A model cannot be written as a checkpoint directory."""


class WrongBackendError(WorkerError):
    """Keras was imported on another backend before Reviewmill could ask for TensorFlow."""


class ModelMissing(WorkerError):
    """The files of a registered model are not where the registry says."""


class ModelChanged(WorkerError):
    """The files of a registered model are no longer those that were registered."""


class TrainingError(WorkerError):
    """A model cannot be fine-tuned on these examples."""


class StopRequested(WorkerError):
    """This worker was asked to stop; the chunk is given back."""


class TrainingStateError(WorkerError):
    """A saved state of a training does not fit the one that is to go on from it."""


class NoPortLeft(WorkerError):
    """There are too few ports after REVIEWMILL_METRICS_PORT for the processes of this machine."""
