"""Being asked to stop: save at the next batch, then leave with the exit status that schedulers expect."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from micromega.errors import MicromegaError


class InterruptedBySignalError(MicromegaError):
    """The run was asked to stop; it saved a checkpoint and can be resumed."""

    def __init__(self, number: int, saved: str = "") -> None:
        where = f" Saved {saved}." if saved else ""
        super().__init__(f"Stopped by {signal.Signals(number).name}.{where} The same command resumes the run.")
        self.exit_status = 128 + number


class StopRequest:
    """Which signal, if any, has asked this process to stop.

    `number` is None until one of SIGTERM, SIGINT or SIGUSR1 arrives.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._heard: list[signal.Signals] = []

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Note signals instead of dying from them; a second Ctrl-C interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
        before = {number: signal.signal(number, self._note) for number in numbers}
        self._heard = numbers
        try:
            yield self
        finally:
            self._heard = []
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen_again(self) -> None:
        """Take the signals back from Lightning, which leaves with exit status 0 and saves nothing at SIGTERM."""
        for number in self._heard:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
