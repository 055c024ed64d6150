"""One task's hold of the device, which it lets go of while its last batches are still computed."""

from types import TracebackType
from typing import Self

from worker.last_minute import DeviceLock


class Hold:
    """Holds the device while the block runs, but for when it let go early; it may take it again."""

    def __init__(self, device: DeviceLock) -> None:
        self._device = device
        self._is_held = False

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()

    def take(self) -> None:
        """Wait for the device, unless it is held."""
        if not self._is_held:
            self._device.__enter__()
            self._is_held = True

    def let_go(self) -> None:
        """Let another task have it."""
        if self._is_held:
            self._is_held = False
            self._device.__exit__(None, None, None)

    def count(self, since: float, until: float) -> float:
        """The seconds between the two in which the device computed and that were not counted yet."""
        return self._device.count(since, until)
