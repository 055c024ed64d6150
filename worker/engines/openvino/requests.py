"""The infer requests of a compiled graph: batches that are computed, or wait for a stream, at the same time."""

import threading
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np


class Started:
    """A batch that is computed, or is to be next."""

    def __init__(self, requests: "Requests", request: Any) -> None:
        self._requests = requests
        self._request = request
        self._ending = threading.Lock()
        self._output: np.ndarray | None = None
        self._error: RuntimeError | None = None

    def output(self) -> np.ndarray:
        """Wait for the graph's first output and return it, a copy. Raises OpenVINO's RuntimeError."""
        self.end()
        if self._output is None:
            raise self._error or AssertionError
        return self._output

    def end(self) -> None:
        """Wait for it, whatever comes of it; its request may then serve another."""
        with self._ending:
            if self._request is None:
                return
            try:
                self._request.wait()
                self._output = self._request.get_output_tensor(0).data.copy()
            except RuntimeError as error:
                self._error = error
            self._requests.take_back(self, self._request)
            self._request = None


class Requests:
    """So many requests of one compiled graph, all made before the first is started.

    One that was made while others computed could wait for them while they waited for it: for Python's lock, which it
    holds, to give their arrays back. Several threads may use them.
    """

    def __init__(self, compiled: Any, count: int) -> None:
        self._compiled = compiled
        self._idle = [compiled.create_infer_request() for _ in range(count)]
        self._started: deque[Started] = deque()

    @property
    def input_names(self) -> list[str]:
        """The names of the graph's inputs, in its order."""
        return [port.get_any_name() for port in self._compiled.inputs]

    def start(self, arrays: list[np.ndarray]) -> Started:
        """Begin with a batch. Where all requests are under way, the first that was started is waited for."""
        request = self._free()
        try:
            request.start_async(arrays, share_inputs=True)
        except BaseException:
            self._idle.append(request)
            raise
        started = Started(self, request)
        self._started.append(started)
        return started

    def take_back(self, started: Started, request: Any) -> None:
        """A batch has ended."""
        self._started.remove(started)
        self._idle.append(request)

    def drain(self) -> None:
        """Wait for all that are under way."""
        while self._started:
            self._end_first()

    def _free(self) -> Any:
        while True:
            # Another thread may be quicker, here and there.
            with suppress(IndexError):
                return self._idle.pop()
            self._end_first()

    def _end_first(self) -> None:
        with suppress(IndexError):
            self._started[0].end()
