"""The loop's order and decisions, with a train step that only counts."""

import itertools
import os
import signal
from typing import Any, NamedTuple

import numpy as np
import pytest

from biobert_jax.errors import Interrupted, UserError
from biobert_jax.training import loop
from biobert_jax.training.loop import Cadence
from biobert_jax.training.metrics import MetricsWriter, Progress
from biobert_jax.training.selection import Selection


class State(NamedTuple):
    step: int


class Saves:
    """Stands for `workdir.Saver`: notes what it is asked, in one list with all that happens."""

    def __init__(self, events, evaluated=()):
        self.events, self._evaluated, self.has_failed = events, evaluated, False
        self.while_waiting = lambda: None

    def __call__(self, step, state, retention, *, best=False):
        assert state.step == step
        self.events.append(f"save {step} {retention}" + " best" * best)

    def mark_best(self, step):
        self.events.append(f"mark {step}")

    def failed(self):
        return self.has_failed

    def wait(self):
        self.while_waiting()
        if self.has_failed:
            raise UserError("the checkpoint could not be saved")

    def newest(self):
        return "checkpoints/2"

    def is_evaluated(self, step):
        return step in self._evaluated

    def finished_step(self):
        return 2


class Run:
    """A run of the loop; `during(step)` happens within the step that leads to state `step`."""

    def __init__(
        self,
        tmp_path,
        during=lambda step: None,
        evaluated=(),
        clock=lambda: 0.0,
        selection=None,
        scores=None,
    ):
        self.selection, self.scores = selection, scores or {}
        self.events: list[str] = []
        self.save = Saves(self.events, evaluated)
        self._path, self._during, self._clock = tmp_path, during, clock

    def __call__(self, start_step=0, **cadence) -> Any:
        def batches():
            for step in itertools.count(start_step):
                self.events.append(f"fetch {step}")
                yield {"input_ids": np.full((2, 4), step), "sequence_ids": np.ones((2, 4), int)}

        def train_step(state, batch):
            self.events.append(f"step {state.step}")
            in_a_row = self._during(state.step + 1) or 0
            return State(state.step + 1), {"loss": 1.0, "skipped_in_a_row": np.float32(in_a_row)}

        def evaluate(state):
            self.events.append(f"evaluate {state.step}")
            return {"heldout_loss": self.scores.get(state.step, 1.0)}

        metrics = MetricsWriter(self._path, start_step, active=False)
        metrics.write = lambda step, values: self.events.append(
            f"write {step} {'heldout_loss' if 'heldout_loss' in values else 'loss'}"
        )
        defaults = {"num_steps": 4, "eval_every": 0, "checkpoint_every": 0, "log_every": 0}
        return loop.run(
            State(start_step),
            cadence=Cadence(**defaults | cadence),
            start_step=start_step,
            batches=batches(),
            to_device=lambda batch: batch,
            train_step=train_step,
            evaluate=evaluate,
            save=self.save,
            metrics=metrics,
            progress=Progress(start_step, 4, active=False),
            clock=self._clock,
            selection=self.selection,
        )

    def saved(self):
        return [event for event in self.events if event.startswith("save")]


@pytest.fixture
def run(tmp_path):
    return lambda *args, **kwargs: Run(tmp_path, *args, **kwargs)


def test_the_order_is_as_documented(run):
    a_run = run()
    state, evaluation = a_run(num_steps=3, eval_every=2, checkpoint_every=2, log_every=1)
    assert state.step == 3 and evaluation == {"heldout_loss": 1.0}
    assert a_run.events == [
        *("evaluate 0", "write 0 heldout_loss", "fetch 0", "step 0"),
        *("fetch 1", "step 1", "write 1 loss"),
        *("write 2 loss", "evaluate 2", "write 2 heldout_loss", "save 2 normal"),
        *("fetch 2", "step 2"),
        *("write 3 loss", "evaluate 3", "write 3 heldout_loss", "save 3 normal"),
    ]


def test_a_resumed_run_evaluates_only_what_was_not(run):
    there, not_there = run(evaluated=[2]), run()
    there(2, eval_every=2)
    not_there(2, eval_every=2)
    assert there.events == not_there.events[2:]
    assert not_there.events[:2] == ["evaluate 2", "write 2 heldout_loss"]


def test_a_run_resumed_at_its_end_evaluates_without_writing(run):
    a_run = run(evaluated=[4])
    assert a_run(4)[1] == {"heldout_loss": 1.0}
    assert a_run.events == ["evaluate 4"]


LOSSES = {0: 0.1, 1: 0.9, 2: 0.8, 3: 0.8, 4: 0.85, 5: 0.3}


def test_the_best_is_saved_and_patience_ends_the_run(run):
    a_run = run(selection=Selection("heldout_loss", 2), scores=LOSSES)
    state, evaluation = a_run(num_steps=9, eval_every=1)
    assert a_run.saved() == ["save 1 normal best", "save 2 normal best", "save 4 normal"]
    assert state.step == 4 and evaluation == {"heldout_loss": 0.85}
    # The same command again finds that it is over.
    history = [(step, {"heldout_loss": LOSSES[step]}) for step in range(5)]
    again = run(selection=Selection("heldout_loss", 2, history), scores=LOSSES, evaluated=[4])
    assert again(4, num_steps=9, eval_every=1)[0].step == 4
    assert again.events == ["evaluate 4"]


def test_a_state_that_was_saved_before_it_was_evaluated_is_marked(run):
    """A signal leaves the evaluation to the run that goes on."""
    a_run = run(selection=Selection("heldout_loss"), scores=LOSSES)
    a_run(2, num_steps=3, eval_every=1)
    assert a_run.events[:3] == ["evaluate 2", "write 2 heldout_loss", "mark 2"]
    assert a_run.saved() == ["save 3 normal"]


def test_permanent_checkpoints_go_before_normal_ones(run):
    a_run = run()
    a_run(num_steps=6, checkpoint_every=2, permanent_every=4)
    assert a_run.saved() == ["save 2 normal", "save 4 permanent", "save 6 normal"]


def test_a_temporary_checkpoint_when_it_is_time(run):
    minutes = iter(range(100))  # the clock is asked once at the start, at each step and save
    a_run = run(clock=lambda: 60.0 * next(minutes))
    a_run(num_steps=7, temporary_minutes=2, checkpoint_every=5)
    # Two minutes after the start the vote of step 1 asks for it; after it, and after the normal
    # checkpoint at 5, time counts anew.
    assert a_run.saved() == ["save 2 temporary", "save 4 temporary", "save 5 normal"] + [
        "save 7 normal"
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops_before_the_next_step(run, number):
    def during(step):
        if step == 3:
            os.kill(os.getpid(), number)

    a_run, before = run(during), signal.getsignal(number)
    with pytest.raises(Interrupted, match="at step 4, which is saved") as caught:
        a_run(num_steps=9, eval_every=2)
    assert caught.value.exit_code == 128 + number
    # Noted within step 3, voted on with step 4: nothing is lost, and the evaluation is left.
    assert a_run.events[-2:] == ["step 3", "save 4 temporary"]
    assert signal.getsignal(number) is before


def test_a_second_sigterm_leaves_the_save_alone(run):
    def terminate(step=3):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    a_run = run(terminate)
    a_run.save.while_waiting = terminate
    with pytest.raises(Interrupted, match="at step 4"):
        a_run(num_steps=9)


@pytest.mark.parametrize("in_save", [False, True])
def test_a_signal_at_the_very_end_stops_what_comes_after(run, in_save):
    def terminate(step=4):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    a_run = run() if in_save else run(terminate)
    if in_save:
        a_run.save.while_waiting = terminate
    with pytest.raises(Interrupted, match="at step 4, which is saved"):
        a_run()
    assert a_run.saved() == ["save 4 normal"]


def test_until_a_step_is_compiled_signals_do_what_they_do(run):
    def during(step):
        if step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    # Python's own handler, also where the tests run in the background, with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(during)()
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigusr1_saves_and_goes_on(run):
    def during(step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGUSR1)

    a_run = run(during)
    a_run(num_steps=5)
    assert a_run.saved() == ["save 3 temporary", "save 5 normal"]


def test_a_failed_save_stops_at_the_next_step(run):
    def during(step):
        a_run.save.has_failed = step >= 2

    a_run = run(during)
    with pytest.raises(UserError, match="could not be saved"):
        a_run(num_steps=50)
    assert a_run.events[-1] == "step 2"


def test_updates_that_are_not_finite_stop_the_run(run):
    a_run = run(lambda step: max(0, step - 2))  # finite up to step 2
    with pytest.raises(UserError, match="step 5: .* 3 updates in a row.*checkpoints/2") as caught:
        a_run(num_steps=50, max_nonfinite_steps=3, checkpoint_every=2)
    assert "\n" not in str(caught.value)
    assert a_run.saved() == ["save 2 normal", "save 4 normal"]
    assert a_run.events[-1] == "step 5"  # a step late, and no later
    run(lambda step: step)(num_steps=50)  # 0: never


def test_a_fault_of_the_data_is_raised_as_it_is():
    def batches():
        yield {"input_ids": 1}
        raise UserError("a shard is corrupt")

    iterator = batches()
    assert loop._fetch(iterator) == ({"input_ids": 1}, None)
    nothing, error = loop._fetch(iterator)
    assert nothing == {} and str(error) == "a shard is corrupt"


def test_the_checksum_of_rows_is_that_of_the_batch(monkeypatch):
    rows = np.arange(24).reshape(6, 4)
    whole = loop.rows_crc(rows)
    assert whole == loop.rows_crc(rows.astype(np.uint16)) and 0 < whole < 2**32
    assert whole != loop.rows_crc(rows[::-1])  # places count: a row's masks depend on its own

    def part(process):
        monkeypatch.setattr(loop.jax, "process_index", lambda: process)
        return loop.rows_crc(rows[2 * process : 2 * process + 2])

    assert whole == sum(part(process) for process in range(3)) % 2**32


def test_the_cadence_of_a_config():
    from biobert_jax.config import TrainConfig
    from biobert_jax.config_finetuning import FinetuneTrainConfig

    assert Cadence.of(TrainConfig()) == Cadence(1000, 500, 500, 10, 0, 0.0, 10)
    train = FinetuneTrainConfig(permanent_every=7, temporary_minutes=2.5)
    assert Cadence.of(train, num_steps=9, eval_every=3) == Cadence(9, 3, 1000, 10, 7, 2.5, 10)
