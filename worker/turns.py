"""Who works beside whom in one process: ordinary chunks beside each other, a suspect alone.

When a process dies, every chunk that it held is counted one death; which of them was to blame cannot be known.
A chunk that was there once therefore works alone from then on: what it dies of after that is its own.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Shared and sole turns at the work of one process. Whoever waits to be alone goes before those who share."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._alone = False
        self._waiting_to_be_alone = 0

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        """Wait until nobody works alone, or waits to; then work, others beside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting_to_be_alone)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody works; then work, and keep all others waiting."""
        with self._changed:
            self._waiting_to_be_alone += 1
            self._changed.wait_for(lambda: not self._alone and not self._sharing)
            self._waiting_to_be_alone -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
