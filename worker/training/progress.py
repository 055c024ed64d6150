"""Where in a training run a step lies."""

from typing import NamedTuple


class Progress(NamedTuple):
    """A run of `steps` steps over `epochs` epochs, of which this process trains those after `first`.

    A step changes the weights once, after `accumulate` batches.
    """

    steps: int
    epochs: int
    first: int = 0
    accumulate: int = 1

    def ended_step(self, batch: int) -> int | None:
        """The step, counted from 1 over the whole run, that a batch ends, counted from 0 in this fit as Keras does.

        None for a batch that another one of its step comes after.
        """
        steps, rest = divmod(batch + 1, self.accumulate)
        return None if rest else self.first + steps

    def epoch(self, step: int) -> int:
        """The epoch, counted from 1, that a step belongs to."""
        return min((step - 1) // self._steps_an_epoch + 1, self.epochs)

    def ends_epoch(self, step: int) -> bool:
        """Whether a step is the last one of its epoch, or of the run."""
        return step == self.steps or step % self._steps_an_epoch == 0

    @property
    def _steps_an_epoch(self) -> int:
        return max(1, self.steps // self.epochs)
