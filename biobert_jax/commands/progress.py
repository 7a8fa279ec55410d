"""Progress on standard error: a bar on a terminal, lines otherwise."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
UNITS = {"count": "B", "read": "B", "pack": "documents", "write": "rows"}


class StageProgress:
    """Called with (stage, done, total); use it as a context manager to end the last bar."""

    def __init__(self, interval: float = 10.0):
        self._bar: tqdm | None = None
        self._stage = ""
        self._interval = interval
        self._started = self._last_line = self._last_call = time.monotonic()

    def __enter__(self) -> "StageProgress":
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.__exit__()
            # It began when the stage before ended, or this object was made.
            self._stage, self._started = stage, self._last_call
            if sys.stderr.isatty():
                self._bar = tqdm(
                    total=total, desc=stage, unit=UNITS[stage], unit_scale=True, file=sys.stderr
                )
        self._last_call = time.monotonic()
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif done >= total or self._last_call - self._last_line >= self._interval:
            self._last_line = self._last_call
            seconds = max(self._last_call - self._started, 1e-9)
            unit, scale = ("MB", 1e6) if UNITS[stage] == "B" else (UNITS[stage], 1)
            left = f", {seconds / done * (total - done):.0f} s left" if 0 < done < total else ""
            amounts = (
                f"{done / scale:,.1f} of {total / scale:,.1f}"
                if scale > 1
                else (f"{done:,} of {total:,}")
            )
            print(
                f"{stage}: {amounts} {unit} in {seconds:.1f} s, "
                f"{done / scale / seconds:,.1f} {unit}/s{left}",
                file=sys.stderr,
                flush=True,
            )


def counted(items: Iterable[T], stage: str, unit: str, interval: float = 10.0) -> Iterator[T]:
    """Passes items on whose number nobody knows; shows how many have passed.

    Args:
      stage, unit: what is done, and with what ("tag", "documents").
      interval: seconds between two lines where standard error is no terminal.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, desc=stage, unit=f" {unit}", unit_scale=True, file=sys.stderr)
        return
    started = last = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= interval:
            last = now
            seconds = now - started
            print(
                f"{stage}: {number:,} {unit} in {seconds:.0f} s, {number / seconds:,.1f} {unit}/s",
                file=sys.stderr,
                flush=True,
            )
