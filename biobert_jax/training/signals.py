"""Signals of a run: SIGINT and SIGTERM stop it after a save, SIGUSR1 saves and goes on."""

import signal
import threading
from typing import Any


class Signals:
    """Notes signals from `listen` to the end of the `with` block.

    Before the first step is compiled there is nothing to save, and a handler would not run before
    the compiler is done: until `listen`, signals do what they always do, but for SIGUSR1, which is
    noted. A second SIGINT raises KeyboardInterrupt at once; a second SIGTERM does nothing, since
    schedulers send several.

    Attributes:
      stop: number of the signal that asks to stop; 0: none has.
    """

    def __init__(self):
        self.stop = 0
        self._save = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Takes the handlers over; in the main thread only, and once."""
        if signal.SIGINT not in self._before and _is_main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note_stop)

    def take_save(self) -> bool:
        """True once after each SIGUSR1."""
        asked, self._save = self._save, False
        return asked

    def __enter__(self):
        if _is_main_thread():
            self._before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._note_save)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note_stop(self, number, _):
        if self.stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stop = number

    def _note_save(self, *_):
        self._save = True


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
