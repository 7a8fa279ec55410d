"""The training loop. Its order is a contract:

    evaluate, save, fetch, step, write the metrics of the step before

A batch is fetched after the save, so that a checkpoint at step i goes on with batch i. Metrics
are written a step late, so that the host never waits for the device to log.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from biobert_jax.errors import Interrupted
from biobert_jax.training.metrics import MetricsWriter, Progress
from biobert_jax.training.step import TrainState


class Cadence(NamedTuple):
    """When things happen, in steps; 0 is never (the end counts for evaluation and saving)."""

    num_steps: int
    eval_every: int
    checkpoint_every: int
    log_every: int


def run(
    state: TrainState,
    *,
    cadence: Cadence,
    start_step: int,
    batches: Iterator[Mapping[str, np.ndarray]],
    to_device: Callable[[Mapping[str, np.ndarray]], dict[str, jax.Array]],
    train_step: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]],
    evaluate: Callable[[TrainState], dict[str, float]] | None,
    save: Callable[[int, TrainState], None],
    metrics: MetricsWriter,
    progress: Progress,
    mask_name: str = "sequence_ids",
) -> tuple[TrainState, dict[str, float]]:
    """Trains from `start_step` to the end; returns the last state, saved, and its evaluation.

    Args:
      batches: the batches from `start_step` on, as this host reads them.
      evaluate: metrics of a state; None where there is nothing to evaluate on.
      save: starts the save of a state.
      mask_name: the batch's array that is 0 at padding; what counts the tokens.

    Raises:
      Interrupted: SIGINT or SIGTERM came; the state was saved.
    """
    evaluation: dict[str, float] = {}
    pending: tuple[int, dict] | None = None  # the metrics of the step before, not yet written

    def write_pending():
        nonlocal pending
        if pending is not None:
            step, values = pending
            pending = None
            due = cadence.log_every and step % cadence.log_every == 0
            if due or step == cadence.num_steps:
                values = {name: float(value) for name, value in values.items()}
                values["tokens_per_second"] = round(progress.tokens_per_second, 1)
                metrics.write(step, values)
                progress.show(values)

    with _Signals() as signals:
        for step in range(start_step, cadence.num_steps + 1):
            last = step == cadence.num_steps
            # A resumed run evaluated this state before it was saved, unless it is the last.
            due = last or (cadence.eval_every and step % cadence.eval_every == 0)
            if evaluate is not None and due and (step > start_step or step == 0 or last):
                write_pending()
                evaluation = evaluate(state)
                if step > start_step or step == 0:
                    metrics.write(step, evaluation)
                shown = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.items())
                progress.say(f"step {step}/{cadence.num_steps}  {shown}")

            due = last or (cadence.checkpoint_every and step % cadence.checkpoint_every == 0)
            if step > start_step and (due or signals.received):
                write_pending()
                save(step, state)
            if signals.received:
                where = f"at step {step}, which is saved" if step else "before the first step"
                raise Interrupted(
                    f"interrupted {where}: the same command goes on from it",
                    128 + signals.received,
                )
            if last:
                break

            batch = next(batches)
            state, values = train_step(state, to_device(batch))

            write_pending()
            pending = (step + 1, values)
            progress.advance(step + 1, int(np.count_nonzero(batch[mask_name])))
    return state, evaluation


class _Signals:
    """Notes the first SIGINT or SIGTERM; a second SIGINT raises KeyboardInterrupt at once."""

    def __init__(self):
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, _):
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
