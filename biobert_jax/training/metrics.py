"""What a run reports: `metrics.jsonl`, TensorBoard events, and a progress bar or plain lines."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter
from tqdm import tqdm


class MetricsWriter:
    """Appends metrics to `<workdir>/metrics.jsonl` and to TensorBoard events beside it.

    Opening it at `start_step` drops what a run that died wrote about later steps, which will be
    run, and written, again.
    """

    def __init__(self, workdir: str | os.PathLike, start_step: int):
        path = Path(workdir) / "metrics.jsonl"
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    if 0 < start_step and json.loads(line)["step"] <= start_step:
                        kept.append(line + "\n")
                except (ValueError, KeyError):
                    continue  # the half-written last line of a run that was killed
        temporary = path.with_name(".metrics.jsonl.tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        os.replace(temporary, path)
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._events = SummaryWriter(str(Path(workdir) / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records metrics that belong to the state after `step` updates."""
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes both files."""
        self._file.close()
        self._events.close()


class Progress:
    """A bar on a terminal, else a line every `interval` seconds: tokens/s and time left."""

    def __init__(self, start_step: int, num_steps: int, interval: float = 15.0):
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=num_steps, initial=start_step, unit="step", desc="training", file=sys.stderr
            )
        self._interval, self._num_steps = interval, num_steps
        self._first_step, self._step = start_step, start_step
        self._started = self._last_line = time.monotonic()
        self._tokens, self._shown = 0, ""

    def advance(self, step: int, tokens: int) -> None:
        """Tells that `step` updates are done, the last of `tokens` real tokens."""
        if step == self._first_step + 1:
            # The first step compiles: rates count from here.
            self._started, self._tokens = time.monotonic(), 0
        else:
            self._tokens += tokens
        self._step = step
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
            if self._tokens:
                self._bar.set_postfix_str(f"{self._shown} {self.tokens_per_second:,.0f} tokens/s")
        elif time.monotonic() - self._last_line >= self._interval:
            self._last_line = time.monotonic()
            self.say(
                f"step {step}/{self._num_steps}  {self._shown}  "
                f"{self.tokens_per_second:,.0f} tokens/s  {self._left()} left"
            )

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second since the second step."""
        return self._tokens / max(time.monotonic() - self._started, 1e-9)

    def show(self, metrics: Mapping[str, float]) -> None:
        """Sets what stands beside the rate."""
        self._shown = f"loss {metrics['loss']:.4f}"

    def say(self, line: str) -> None:
        """Prints a line without breaking the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()

    def _left(self) -> str:
        done = self._step - self._first_step - 1
        if done < 1:
            return "?"
        seconds = (time.monotonic() - self._started) / done * (self._num_steps - self._step)
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}"
