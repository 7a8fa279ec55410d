"""Progress on standard error: a bar on a terminal, lines otherwise."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
UNITS = {
    **{"count": "B", "read": "B", "check": "B"},
    **{"pack": "documents", "write": "rows", "tag": "rows"},
}
# A rate over less time says nothing.
SHORTEST = 0.1


class StageProgress:
    """Called with (stage, done, total); use it as a context manager to end the last bar.

    Args:
      interval: seconds between two lines where standard error is no terminal.
      brief: nothing stays of a bar, and a stage ends without a line: for verbs whose result is
        one anyway.
    """

    def __init__(self, interval: float = 10.0, *, brief: bool = False):
        self._bar: tqdm | None = None
        self._stage = ""
        self._interval, self._brief = interval, brief
        self._started = self._last_line = self._last_call = time.monotonic()

    def __enter__(self) -> "StageProgress":
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int = 0, unit: str = "") -> None:
        """Tells that `done` of `total` are done; a total of 0 is unknown."""
        unit = unit or UNITS[stage]
        if stage != self._stage:
            self.__exit__()
            # It began when the stage before ended, or this object was made.
            self._stage, self._started = stage, self._last_call
            if sys.stderr.isatty():
                self._bar = tqdm(
                    total=total or None,
                    desc=stage,
                    unit=unit if unit == "B" else f" {unit}",
                    unit_scale=True,
                    file=sys.stderr,
                    leave=not self._brief,
                )
        self._last_call = now = time.monotonic()
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            return
        ended = 0 < total <= done and not self._brief
        if ended or now - self._last_line >= self._interval:
            self._last_line = now
            _print_line(stage, done, total, unit, now - self._started)


def counted(items: Iterable[T], stage: str, unit: str, interval: float = 10.0) -> Iterator[T]:
    """Passes items on whose number nobody knows; shows how many have passed.

    Args:
      stage, unit: what is done, and with what ("tag", "documents").
      interval: seconds between two lines where standard error is no terminal.
    """
    with StageProgress(interval) as progress:
        for number, item in enumerate(items, 1):
            yield item
            progress(stage, number, unit=unit)


@contextlib.contextmanager
def working(what: str, interval: float = 10.0) -> Iterator[None]:
    """Shows what is under way where nothing can be counted, as long as it is.

    Where standard error is no terminal, a line at the end says so if it took over `interval`.
    """
    started, terminal = time.monotonic(), sys.stderr.isatty()
    if terminal:
        print(f"{what} ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # back, and clear the line
    seconds = time.monotonic() - started
    if not terminal and seconds >= interval:
        print(f"{what}: {seconds:.0f} s", file=sys.stderr, flush=True)


def adding(progress: StageProgress, stage: str, total: int) -> Callable[[int], None]:
    """A function that takes what was done since the last call, such as bytes read."""
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        progress(stage, done, total)

    return add


def _print_line(stage: str, done: int, total: int, unit: str, seconds: float) -> None:
    scale = 1
    if unit == "B":
        # The size of the whole decides, so that all lines of a stage have one unit.
        most = max(done, total)
        unit, scale = ("MB", 1e6) if most >= 1e6 else ("kB", 1e3) if most >= 1e3 else ("bytes", 1)
    digits = 0 if scale == 1 else 1
    line = f"{stage}: {done / scale:,.{digits}f}"
    if total:
        line += f" of {total / scale:,.{digits}f}"
    line += f" {unit}"
    if seconds >= SHORTEST:
        precise = 0 if seconds >= 10 else 1
        line += f" in {seconds:.{precise}f} s, {done / scale / seconds:,.1f} {unit}/s"
        if 0 < done < total:
            line += f", {seconds / done * (total - done):.0f} s left"
    print(line, file=sys.stderr, flush=True)
