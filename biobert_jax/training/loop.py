"""The training loop. Its order is a contract:

    evaluate, save, fetch, vote, step, write the metrics of the step before

A batch is fetched after the save, so that a checkpoint at step i goes on with batch i. Metrics
are looked at a step late, so that the device always has a step to work on while the host does.
What must be the same on every process, when to stop or to save, was voted on at the step before
(`distributed.cast`).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import google_crc32c
import jax
import numpy as np

from biobert_jax.checkpoints.manifest import NORMAL, PERMANENT, TEMPORARY
from biobert_jax.errors import Interrupted, UserError
from biobert_jax.training import distributed
from biobert_jax.training.distributed import Vote
from biobert_jax.training.metrics import (
    MetricsWriter,
    Progress,
    Throughput,
    TokenCounts,
    count_tokens,
)
from biobert_jax.training.profile import Profiler
from biobert_jax.training.saver import Saver
from biobert_jax.training.selection import Selection
from biobert_jax.training.signals import Signals
from biobert_jax.training.step import TrainState
from biobert_jax.training.watchdog import Watchdog


class Cadence(NamedTuple):
    """When things happen, in steps; 0 is never (the end counts for evaluation and saving).

    Attributes:
      permanent_every: steps between checkpoints that are never deleted.
      temporary_minutes: after so long without a checkpoint, one that the next replaces.
      max_nonfinite_steps: so many updates in a row that were skipped end the run.
    """

    num_steps: int
    eval_every: int
    checkpoint_every: int
    log_every: int
    permanent_every: int = 0
    temporary_minutes: float = 0.0
    max_nonfinite_steps: int = 0

    @classmethod
    def of(cls, train: Any, *, num_steps: int = 0, eval_every: int = 0) -> "Cadence":
        """That of a run's `train` keys; where given, the two others stand instead."""
        own = {name: getattr(train, name) for name in cls._fields}
        own["num_steps"] = num_steps or own["num_steps"]
        own["eval_every"] = eval_every or own["eval_every"]
        return cls(**own)

    def evaluates(self, step: int) -> bool:
        """True where the state after `step` updates is evaluated."""
        return step == self.num_steps or _is_due(step, self.eval_every)

    def retention(self, step: int) -> str | None:
        """How the state after `step` updates is saved; None: it is not."""
        if _is_due(step, self.permanent_every):
            return PERMANENT
        due = step == self.num_steps or _is_due(step, self.checkpoint_every)
        return NORMAL if due else None


def run(
    state: TrainState,
    *,
    cadence: Cadence,
    start_step: int,
    batches: Iterator[Mapping[str, np.ndarray]],
    to_device: Callable[[Mapping[str, np.ndarray]], dict[str, jax.Array]],
    train_step: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]],
    evaluate: Callable[[TrainState], dict[str, float]] | None,
    save: Saver,
    metrics: MetricsWriter,
    progress: Progress,
    throughput: Throughput | None = None,
    profiler: Profiler | None = None,
    watchdog: Watchdog | None = None,
    selection: Selection | None = None,
    mask_name: str = "sequence_ids",
    clock: Callable[[], float] = time.monotonic,
) -> tuple[TrainState, dict[str, float]]:
    """Trains from `start_step` to the end; returns the last state, saved, and its evaluation.

    Args:
      batches: the batches from `start_step` on, as this process reads them.
      evaluate: metrics of a state; None where there is nothing to evaluate on.
      save: starts the save of a state.
      metrics, progress: active on process 0 alone.
      throughput, profiler, watchdog: None: no FLOPs are known, no trace is taken, nothing is
        watched.
      selection: chooses the best evaluation, whose state is saved, and may end the run.
      mask_name: the batch's array that is 0 at padding; what counts the tokens.
      clock: seconds; process 0's decides when a temporary checkpoint is due.

    Raises:
      Interrupted: SIGINT or SIGTERM came to any process; the state is saved.
      UserError: a save failed, on any process; `max_nonfinite_steps` updates in a row were
        skipped.
    """
    evaluation: dict[str, float] = {}
    pending: tuple[int, dict, Vote] | None = None  # of the step before, not yet looked at
    agreed = Vote()
    saved_at = clock()
    watchdog = watchdog or Watchdog(0, "")
    throughput = throughput or Throughput(num_hosts=jax.process_count())
    profiler = profiler or Profiler("", 0, progress.say, enabled=False)
    shapes: Any = None  # of the batch before

    def look_at_pending():
        nonlocal pending
        if pending is None:
            return
        (step, values, vote), pending = pending, None
        in_a_row = int(values["skipped_in_a_row"])  # waits for that step
        throughput.finished()
        if cadence.max_nonfinite_steps and in_a_row >= cadence.max_nonfinite_steps:
            raise UserError(
                f"step {step}: loss or gradient was not finite in {in_a_row} updates in a row, "
                f"which were left out; the last good checkpoint is {save.newest()}: "
                "go on from it in a new --workdir with --config.init and a lower "
                "optimizer.learning_rate"
            )
        if step == cadence.num_steps or _is_due(step, cadence.log_every):
            values = {name: float(value) for name, value in values.items()}
            metrics.write(step, {**values, "batch_crc": vote.rows, **throughput.report()})
            progress.show(step, values)

    done = start_step

    def lost() -> str:
        saved = save.finished_step()
        return f"steps {saved + 1} to {done}" if saved < done else ""

    with Signals(progress.say, lost) as signals:
        for step in range(start_step, cadence.num_steps + 1):
            last = step == cadence.num_steps or (selection is not None and selection.is_over)
            best = False
            if agreed.failed:
                save.wait()  # raises, if it was this process's own save
                raise UserError(
                    f"step {step}: another process could not go on: see what that one said"
                )

            # A signal that came before an evaluation leaves it to the run that goes on.
            if evaluate is not None and cadence.evaluates(step) and not agreed.stop:
                is_new = step > start_step or not save.is_evaluated(step)
                if is_new or last:
                    look_at_pending()
                    watchdog.pat(f"the evaluation at step {step}", slow=True)
                    with throughput.apart():
                        evaluation = evaluate(state)
                    if is_new:
                        metrics.write(step, evaluation)
                    if is_new and selection is not None:
                        best = selection.look(step, evaluation)
                        last = last or selection.is_over
                    shown = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.items())
                    progress.say(f"step {step}/{cadence.num_steps}  {shown}")

            retention = cadence.retention(step) or (NORMAL if best or last else None)
            if step > start_step and (retention or agreed.stop or agreed.save):
                look_at_pending()
                watchdog.pat(f"the save at step {step}", slow=True)
                with throughput.apart():
                    save(step, state, retention or TEMPORARY, best=best)
                saved_at = clock()
            elif best:
                save.mark_best(step)
            if agreed.stop or last:
                save.wait()  # here, where one more signal does no harm
                watchdog.pat("the end", slow=True)
            if stop := agreed.stop or (last and signals.stop):
                raise Interrupted(
                    f"interrupted at step {step}, which is saved: the same command goes on from it",
                    128 + stop,
                )
            if last:
                break

            watchdog.pat(f"step {step + 1}")
            with profiler.step(step, state):
                with throughput.waiting():
                    batch, error = _fetch(batches)
                counts = count_tokens(batch[mask_name]) if error is None else TokenCounts(0, 0)
                minutes = (clock() - saved_at) / 60
                ballot = distributed.cast(
                    Vote(
                        rows=rows_crc(batch["input_ids"]) if error is None else 0,
                        tokens=counts.tokens,
                        stop=signals.stop,
                        save=signals.take_save() or _is_over(minutes, cadence.temporary_minutes),
                        failed=error is not None or save.failed(),
                    )
                )
                if error is not None:
                    raise error
                before, shapes = shapes, jax.tree.map(np.shape, batch)
                if shapes != before:  # compiles
                    watchdog.pat(f"step {step + 1}", slow=True)
                state, values = train_step(state, to_device(batch))
                done = step + 1
                throughput.stepped(counts)
            signals.listen()

            look_at_pending()
            agreed = distributed.count(ballot)
            pending = (step + 1, values, agreed)
            progress.advance(step + 1, agreed.tokens)
    return state, evaluation


def rows_crc(input_ids: np.ndarray) -> int:
    """A checksum of this process's rows [B / processes, L] in their places in the global batch.

    The sum modulo 2^32 of all processes' is that of the batch, on however many it is read.
    """
    first = jax.process_index() * len(input_ids)
    rows = np.ascontiguousarray(input_ids, "<i4")
    crcs = (google_crc32c.extend(first + i, row.tobytes()) for i, row in enumerate(rows))
    return sum(crcs) % 2**32


def _fetch(batches: Iterator[Mapping[str, np.ndarray]]):
    """The next batch, or what went wrong, of which the other processes must hear first."""
    try:
        return next(batches), None
    except Exception as error:
        return {}, error


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _is_over(minutes: float, limit: float) -> bool:
    return distributed.is_first() and 0 < limit <= minutes
