"""A trace of a few steps for TensorBoard's profiler, taken once the run has settled."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

# The first steps compile and fill the queues.
SKIPPED_STEPS = 10
TRACED_STEPS = 5


class Profiler:
    """Traces steps `start_step + 10` to `start_step + 14` into `<workdir>/profile`.

    The loop runs each step, dispatch and reading of input alike, within `step()`; those that are
    not traced cost nothing. Every process of a run takes its own trace into the same folder.

    Args:
      say: told where the trace is, or why there is none.
      enabled: False does nothing at all.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        start_step: int,
        say: Callable[[str], None],
        *,
        enabled: bool = True,
    ):
        self._folder = Path(workdir).absolute() / "profile"
        self._first = start_step + SKIPPED_STEPS
        self._end = self._first + TRACED_STEPS
        self._say = say
        self._pending, self._tracing = enabled, False

    @contextmanager
    def step(self, step: int, state: Any) -> Iterator[None]:
        """Around the step from `state`, `step` updates old, to the next.

        The trace starts and stops once the device has caught up, so that it holds exactly the
        work of its steps.
        """
        if self._tracing and step >= self._end:
            jax.block_until_ready(state)
            self._stop()
        if self._pending and step >= self._first:
            jax.block_until_ready(state)
            self._pending, self._tracing = False, True
            jax.profiler.start_trace(str(self._folder))
        if self._tracing:
            # The name that TensorBoard finds steps by.
            with jax.profiler.StepTraceAnnotation("train", step_num=step):
                yield
        else:
            yield

    def close(self) -> None:
        """Ends a trace that is under way; call it however the run ended."""
        if self._tracing:
            self._stop()
        elif self._pending:
            self._pending = False
            self._say(f"no profile: the run ended before step {self._first}, where it starts")

    def _stop(self) -> None:
        self._tracing = False
        jax.profiler.stop_trace()
        self._say(f"profile: {self._folder} (tensorboard --logdir {self._folder})")
