"""What a run reports: `metrics.jsonl`, TensorBoard events, and a progress bar or plain lines."""

import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tqdm import tqdm

from biobert_jax.files import write_text_atomically

STEP_SECONDS = ("step_seconds_p50", "step_seconds_p90", "step_seconds_p99", "step_seconds_max")
# What `Throughput` measures, and when a line was written: these differ between runs that are the
# same bit for bit.
MEASURED = ("time", "tokens_per_second", "input_wait", "staging_wait", *STEP_SECONDS, "mfu")


class MetricsWriter:
    """Appends metrics to `<workdir>/metrics.jsonl` and to TensorBoard events beside it.

    Opening it at `start_step` drops what a run that died wrote about later steps, which will be
    run, and written, again.

    Args:
      active: False writes nothing; of several processes that share a workdir one writes.
    """

    def __init__(self, workdir: str | os.PathLike, start_step: int, *, active: bool = True):
        self._active = active
        if not active:
            return
        path = Path(workdir) / "metrics.jsonl"
        kept = []
        if path.exists():
            # A torn line may hold half a character.
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    if 0 < start_step and json.loads(line)["step"] <= start_step:
                        kept.append(line + "\n")
                except (ValueError, KeyError, TypeError):
                    continue  # the half-written last line of a run that was killed
        write_text_atomically(path, "".join(kept))
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        # Written here and now: SummaryWriter's thread dies of a full disk, and its queue then
        # blocks whoever writes.
        folder = Path(workdir) / "tensorboard"
        folder.mkdir(exist_ok=True)
        self._events = EventsWriter(str(folder / "events"))
        # What an earlier process wrote of later steps is void.
        self._event(start_step + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records metrics that belong to the state after `step` updates.

        A value that is not finite is null in `metrics.jsonl` and left out of the events, whose
        writer would warn of every one. `time` (Unix, seconds) is added to the line.
        """
        if not self._active:
            return
        values = {n: v if isinstance(v, int) else float(v) for n, v in metrics.items()}
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        line = {"step": step, **dict.fromkeys(values), **finite, "time": round(time.time(), 1)}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        finite.pop("batch_crc", None)  # no curve
        scalars = [Summary.Value(tag=name, simple_value=v) for name, v in finite.items()]
        self._event(step, summary=Summary(value=scalars))
        self._events.flush()

    def close(self) -> None:
        """Flushes and closes both files."""
        if self._active:
            self._file.close()
            self._events.close()

    def _event(self, step: int, **content) -> None:
        self._events.write_event(Event(step=step, wall_time=time.time(), **content))


class TokenCounts(NamedTuple):
    """Of a batch: positions that are not padding, and the sum of its sequences' squared lengths."""

    tokens: int
    squared_lengths: int


def count_tokens(sequence_ids: np.ndarray) -> TokenCounts:
    """Counts the sequences of rows.

    Args:
      sequence_ids: [B, S], integers; each sequence of a row has its own number from 1 on, 0 is
        padding. A mask of 0 and 1 is rows of one sequence.
    """
    ids = np.asarray(sequence_ids, np.int64)
    if not ids.size:
        return TokenCounts(0, 0)
    # Row b's sequence n is bin b * width + n.
    width = int(ids.max()) + 1
    bins = ids + width * np.arange(len(ids))[:, None]
    lengths = np.bincount(bins.ravel(), minlength=width * len(ids)).reshape(-1, width)[:, 1:]
    return TokenCounts(int(lengths.sum()), int(np.square(lengths).sum()))


class Throughput:
    """How fast steps go, by the host's clock, over the steps since the last report.

    The loop calls, in this order and as often as it steps:

        with throughput.waiting():
            batch = next(batches)
        train_step(...)
        throughput.stepped(count_tokens(batch["sequence_ids"]))
        (reads metrics of the step before, which waits for it)
        throughput.finished()

    `finished()` is for the oldest step under way, once the host has seen its end; `report()` may
    follow it. What is no part of a step (evaluation, saving) goes under `throughput.apart()`,
    best when no step is under way: on the device they go on meanwhile.

    Nothing here waits for the device. A step's time is that between the ends of two steps, as the
    host saw them. Where the host looks at every step, one late, these are the device's times, and
    longer only where the device had to wait for the host. The time before the first dispatch,
    which compiles, is not counted; a later step that compiles again is slow.

    Args:
      flops: needed for a batch with these counts, as `flops.training_flops` gives; None: no MFU.
      peak_flops: FLOP/s of all chips of the run together; None: no MFU.
      staged: seconds that this host has waited for shards from a bucket, so far; None: there are
        none in one.
      num_hosts: processes that share each batch. Every one sees its own rows and takes the others
        to hold as many tokens: an estimate, which is close since rows are shuffled and packed.
      clock: seconds.
    """

    def __init__(
        self,
        *,
        flops: Callable[[TokenCounts], float] | None = None,
        peak_flops: float | None = None,
        num_hosts: int = 1,
        staged: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._staged, self._staged_before = staged, 0.0
        self._flops, self._peak = flops, peak_flops
        self._num_hosts, self._clock = num_hosts, clock
        self._under_way: deque[TokenCounts] = deque()
        self._last: float | None = None  # end of a step, or of the first dispatch
        self._apart = 0.0  # since then
        self._waited = 0.0  # since the last report
        self._done: list[tuple[float, TokenCounts]] = []  # since the last report, with seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what waits for input."""
        started = self._clock()
        try:
            yield
        finally:
            self._waited += self._clock() - started

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Around what takes time but is no part of a step."""
        started = self._clock()
        try:
            yield
        finally:
            self._apart += self._clock() - started

    def stepped(self, counts: TokenCounts) -> None:
        """Tells that a step on such a batch was dispatched."""
        if self._last is None:
            self._last, self._apart, self._waited = self._clock(), 0.0, 0.0
            self._staged_before = self._staged() if self._staged else 0.0
        self._under_way.append(counts)

    def finished(self) -> None:
        """Tells that the oldest step under way is done."""
        now = self._clock()
        self._done.append((now - self._last - self._apart, self._under_way.popleft()))
        self._last, self._apart = now, 0.0

    def report(self) -> dict[str, float]:
        """The rates of the steps done since the last report, which are then forgotten.

        Returns:
          tokens_per_second: that are not padding, over all hosts.
          input_wait: share of the time in which this host waited for input; the device may have
            had a step to work on meanwhile.
          staging_wait: the part of that in which nothing but a shard from a bucket was waited for;
            where there are such.
          step_seconds_p50, _p90, _p99, _max: quantiles.
          mfu: FLOPs that were needed over those the chips could have done; where both are known.
          Nothing where no step was done.
        """
        elapsed = sum(seconds for seconds, _ in self._done)
        if elapsed <= 0:
            return {}
        quantiles = np.quantile([seconds for seconds, _ in self._done], [0.5, 0.9, 0.99, 1.0])
        values = {
            "tokens_per_second": self._num_hosts * sum(c.tokens for _, c in self._done) / elapsed,
            "input_wait": min(self._waited / elapsed, 1.0),
            **dict(zip(STEP_SECONDS, quantiles.tolist(), strict=True)),
        }
        if self._staged is not None:
            waited = self._staged() - self._staged_before
            values["staging_wait"] = min(waited / elapsed, 1.0)
            self._staged_before += waited
        if self._flops is not None and self._peak:
            work = sum(self._flops(counts) for _, counts in self._done)
            values["mfu"] = self._num_hosts * work / (elapsed * self._peak)
        self._done, self._waited = [], 0.0
        return {name: float(f"{value:.5g}") for name, value in values.items()}


class Progress:
    """A bar on a terminal, else a line every `interval` seconds: tokens/s and time left.

    Args:
      active: False shows and says nothing; of several processes one does.
    """

    def __init__(
        self, start_step: int, num_steps: int, interval: float = 15.0, *, active: bool = True
    ):
        self._bar, self._active = None, active
        if active and sys.stderr.isatty():
            self._bar = tqdm(
                total=num_steps, initial=start_step, unit="step", desc="training", file=sys.stderr
            )
        self._interval, self._num_steps = interval, num_steps
        self._first_step, self._step = start_step, start_step
        self._started = self._last_line = time.monotonic()
        self._tokens, self._shown, self._shown_step = 0, "", start_step

    def advance(self, step: int, tokens: int) -> None:
        """Tells that `step` updates are done, the last of `tokens` real tokens."""
        if step == self._first_step + 1:
            # The first step compiles: rates count from here.
            seconds = time.monotonic() - self._started
            self._started, self._tokens = time.monotonic(), 0
            if self._bar is None and seconds >= self._interval:
                self._last_line = self._started
                self.say(f"step {step}/{self._num_steps}  after {seconds:.0f} s, with compiling")
        else:
            self._tokens += tokens
        self._step = step
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
            if self._tokens:
                self._bar.set_postfix_str(f"{self._shown} {self.tokens_per_second:,.0f} tokens/s")
        elif self._tokens and time.monotonic() - self._last_line >= self._interval:
            self._last_line = time.monotonic()
            # A loss is looked at every train.log_every steps, and may be that of an earlier one.
            of = f" (step {self._shown_step})" if self._shown_step != step and self._shown else ""
            parts = (
                f"step {step}/{self._num_steps}",
                f"{self._shown}{of}",
                f"{self.tokens_per_second:,.0f} tokens/s",
                f"{self._left()} left",
            )
            self.say("  ".join(filter(None, parts)))

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second since the second step."""
        return self._tokens / max(time.monotonic() - self._started, 1e-9)

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Sets what stands beside the rate: the loss of an update, the last one's at once."""
        self._shown, self._shown_step = f"loss {metrics['loss']:.4f}", step
        if step == self._num_steps:
            rate = f"  {self.tokens_per_second:,.0f} tokens/s" if self._tokens else ""
            self.say(f"step {step}/{step}  {self._shown}{rate}")

    def say(self, line: str) -> None:
        """Prints a line without breaking the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        elif self._active:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()

    def _left(self) -> str:
        done = max(1, self._step - self._first_step - 1)
        seconds = (time.monotonic() - self._started) / done * (self._num_steps - self._step)
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}"
