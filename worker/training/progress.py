"""Where in a training run a step lies."""

from typing import NamedTuple


class Progress(NamedTuple):
    """A run of `steps` steps over `epochs` epochs, of which this process trains those after `first`."""

    steps: int
    epochs: int
    first: int = 0

    def step(self, batch: int) -> int:
        """The step, counted from 1 over the whole run, of a batch that Keras counts from 0 in this fit."""
        return self.first + batch + 1

    def epoch(self, step: int) -> int:
        """The epoch, counted from 1, that a step belongs to."""
        return min((step - 1) // self._steps_an_epoch + 1, self.epochs)

    def ends_epoch(self, step: int) -> bool:
        """Whether a step is the last one of its epoch, or of the run."""
        return step == self.steps or step % self._steps_an_epoch == 0

    @property
    def _steps_an_epoch(self) -> int:
        return max(1, self.steps // self.epochs)
