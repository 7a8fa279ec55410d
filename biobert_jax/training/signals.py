"""Signals of a run: SIGINT and SIGTERM stop it after a save, SIGUSR1 saves and goes on."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any


class Signals:
    """Notes signals from `listen` to the end of the `with` block, and answers at once.

    Before the first step is compiled there is nothing to save, and a handler would not run before
    the compiler is done: until `listen`, signals do what they always do, but for SIGUSR1, which is
    noted. A second SIGINT raises KeyboardInterrupt, a third ends the process as it stands; a second
    SIGTERM does nothing, since schedulers send several.

    Python runs a handler when its main thread is back from what it is at, a step or a compilation
    of minutes. The answer comes from a thread that the interpreter wakes at the signal itself.

    Args:
      say: prints a line.
      lost: what a run that ends now without saving loses, as in "steps 5 to 7".
      end: ends the process at once with an exit code.

    Attributes:
      stop: number of the signal that asks to stop; 0: none has.
    """

    def __init__(
        self,
        say: Callable[[str], None] = lambda line: None,
        lost: Callable[[], str] = lambda: "",
        end: Callable[[int], None] = os._exit,
    ):
        self.stop = 0
        self._say, self._lost, self._end = say, lost, end
        self._save = self._listening = self._give_up = False
        self._before: dict[int, Any] = {}
        self._wakeup = self._read = -1

    def listen(self) -> None:
        """Takes the handlers over; in the main thread only, and once."""
        if signal.SIGINT not in self._before and _is_main_thread():
            self._listening = True
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note_stop)

    def take_save(self) -> bool:
        """True once after each SIGUSR1."""
        asked, self._save = self._save, False
        return asked

    def __enter__(self):
        if _is_main_thread():
            self._before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._note_save)
            self._read, self._wakeup = os.pipe()
            os.set_blocking(self._wakeup, False)
            self._wakeup_before = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            threading.Thread(target=self._answer, daemon=True).start()
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self._wakeup >= 0:
            signal.set_wakeup_fd(self._wakeup_before)
            os.close(self._wakeup)  # the thread reads the end of the pipe, and ends
            self._wakeup = -1

    def _note_stop(self, number, _):
        # Signals that come while the main thread is away call its handler once, however many.
        if self._give_up or (self.stop and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.stop = number

    def _note_save(self, *_):
        self._save = True

    def _answer(self) -> None:
        with open(self._read, "rb", buffering=0) as pipe:
            asked = interrupts = 0
            while received := pipe.read(1):
                number = received[0]
                if number == signal.SIGUSR1:
                    self._say("SIGUSR1: saving after this step")
                elif number == signal.SIGINT or (number == signal.SIGTERM and not asked):
                    interrupts += number == signal.SIGINT
                    self._answer_stop(number, asked, interrupts)
                    asked += 1

    def _answer_stop(self, number: int, asked: int, interrupts: int) -> None:
        if not self._listening:
            if interrupts > 1:
                self._end(128 + number)
            self._say(
                "stopping when the first step is compiled; nothing was done yet that could be "
                "saved; Ctrl-C again ends at once"
            )
        elif not asked:
            again = "; Ctrl-C again ends without saving" if number == signal.SIGINT else ""
            self._say(f"stopping after this step, then saving{again}")
        elif interrupts > 2:
            self._end(128 + number)
        else:
            self._give_up = True
            lost = self._lost()
            lost = f": {lost} are lost, unless their save is under way" if lost else ""
            self._say(f"ending without saving{lost}; Ctrl-C again ends at once")


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
