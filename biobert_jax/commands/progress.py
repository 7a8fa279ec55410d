"""Progress of work that has stages: a bar on a terminal, a line a stage otherwise."""

import sys
import time

from tqdm import tqdm

UNITS = {"read": "B", "pack": "documents", "write": "rows"}


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
