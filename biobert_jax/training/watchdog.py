"""Ends a run that stands still, so that whatever started it can start it again.

A process whose peer died may wait in a collective for ever, and so may one whose file system is
gone. An error cannot reach a thread that hangs in there: the process ends without cleaning up.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jax

from biobert_jax.errors import EXIT_STUCK

# What may compile, or takes as long as there is data: first steps, evaluations, saves. They get
# the limit, but never less than this.
SLOW_MINUTES = 30.0
PUBLISH_SECONDS = 20.0


class Watchdog:
    """A thread that ends the process where nobody has called `pat` for too long.

    Time in which the process itself was stopped (SIGSTOP, a sleeping laptop) does not count.
    Before the end, the stacks of all threads go to stderr and to `<workdir>/watchdog.txt`
    (`watchdog.<process>.txt` where there are several).
    """

    def __init__(
        self,
        minutes: float,
        workdir: str | os.PathLike,
        *,
        publish: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[int], None] = os._exit,
    ):
        """Watches from `__enter__` to `__exit__`.

        Args:
          minutes: that a step may take; 0: nothing is watched.
          publish: sends what was written to where the workdir is; given some seconds.
          clock: seconds.
          end: called with the exit code.
        """
        self._limit = 60 * minutes
        several = f".{jax.process_index()}" if jax.process_count() > 1 else ""
        self._path = Path(workdir) / f"watchdog{several}.txt"
        self._clock, self._end, self._publish = clock, end, publish
        self._interval = min(self._limit / 10, 10.0)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked = clock()
        self.pat("the start", slow=True)

    def pat(self, what: str, *, slow: bool = False) -> None:
        """Tells that `what` begins now, and so that what came before is done."""
        with self._lock:
            self._what, self._idle = what, 0.0
            self._allowed = max(self._limit, 60 * SLOW_MINUTES) if slow else self._limit

    def look(self) -> None:
        """Ends the process if its time is over; what the thread does at every interval."""
        now = self._clock()
        with self._lock:
            # A longer gap than that between two looks: this thread did not run either.
            self._idle += min(now - self._looked, 3 * self._interval)
            self._looked = now
            over, idle, what = self._idle > self._allowed, self._idle, self._what
        if over:
            self._give_up(f"{what} has taken {idle / 60:.1f} minutes")

    def __enter__(self):
        if self._limit:
            self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            self.look()

    def _give_up(self, why: str) -> None:
        message = (
            f"error: watchdog: {why}, over train.watchdog_minutes: the run stands still and is "
            f"ended; the stacks are in {self._path}, and the same command goes on from the last "
            "checkpoint"
        )
        print(message, file=sys.stderr, flush=True)
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
        try:
            with open(self._path, "w", encoding="utf-8") as stream:
                stream.write(message + "\n")
                stream.flush()
                faulthandler.dump_traceback(stream, all_threads=True)
        except OSError as error:  # a file system that is gone may be why it stands still
            print(f"{self._path}: {error}", file=sys.stderr, flush=True)
        sending = threading.Thread(target=self._publish, daemon=True)
        sending.start()
        sending.join(PUBLISH_SECONDS)
        self._end(EXIT_STUCK)
