"""Metrics files that stay valid, and rates that are right by a clock that the test turns."""

import json
import math

import numpy as np
import pytest

from biobert_jax.training.metrics import (
    MEASURED,
    MetricsWriter,
    Progress,
    Throughput,
    TokenCounts,
    count_tokens,
)


def lines_of(workdir):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


# Files.


def test_values_that_are_not_finite_are_null(tmp_path):
    writer = MetricsWriter(tmp_path, 0)
    writer.write(
        1, {"loss": math.nan, "grad_norm": np.float32("inf"), "learning_rate": 0.5, "crc": 7}
    )
    writer.close()
    [line] = lines_of(tmp_path)
    assert line.pop("time") > 1.6e9
    assert line == {"step": 1, "loss": None, "grad_norm": None, "learning_rate": 0.5, "crc": 7}
    assert isinstance(line["crc"], int)


def test_a_resumed_run_drops_later_and_torn_lines(tmp_path):
    writer = MetricsWriter(tmp_path, 0)
    for step in (1, 2, 3):
        writer.write(step, {"loss": step})
    writer.close()
    with open(tmp_path / "metrics.jsonl", "ab") as stream:
        stream.write(b'7\n{"loss": 1}\n{"step": "\xc3')
    writer = MetricsWriter(tmp_path, 2)
    writer.write(3, {"loss": 30})
    writer.close()
    assert [(line["step"], line["loss"]) for line in lines_of(tmp_path)] == [
        (1, 1), (2, 2), (3, 30),
    ]  # fmt: skip


def test_an_inactive_writer_touches_nothing(tmp_path):
    writer = MetricsWriter(tmp_path, 0, active=False)
    writer.write(1, {"loss": 1.0})
    writer.close()
    assert not list(tmp_path.iterdir())


def test_an_inactive_progress_is_silent(capsys):
    progress = Progress(0, 10, interval=0.0, active=False)
    progress.show(1, {"loss": 1.0})
    progress.advance(1, 5)
    progress.say("line")
    progress.close()
    assert capsys.readouterr() == ("", "")


# Counts.


def test_counts_are_those_of_the_sequences():
    ids = np.array([[1, 1, 1, 2, 2, 0], [1, 2, 3, 3, 3, 3], [0] * 6], np.uint8)
    assert count_tokens(ids) == (11, 9 + 4 + 1 + 1 + 16)
    assert count_tokens(np.array([[1, 1, 0], [1, 1, 1]], bool)) == (5, 4 + 9)
    assert count_tokens(np.zeros((2, 4), np.int32)) == (0, 0)
    assert count_tokens(np.zeros((0, 4), np.int32)) == (0, 0)


def test_counts_of_random_rows():
    rng = np.random.default_rng(0)
    ids = np.sort(rng.integers(0, 300, (20, 512)), axis=1).astype(np.uint16)
    lengths = [np.count_nonzero(row == n) for row in ids for n in range(1, 300)]
    assert count_tokens(ids) == (sum(lengths), sum(n * n for n in lengths))


# Rates.


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def dispatch(throughput, clock, *, wait=0.0, work=0.0):
    with throughput.waiting():
        clock.now += wait
    clock.now += work
    throughput.stepped(TokenCounts(1000, 5000))


def finish(throughput, clock, seconds):
    clock.now += seconds
    throughput.finished()


def test_rates(clock):
    throughput = Throughput(
        flops=lambda counts: 10 * counts.tokens + counts.squared_lengths,
        peak_flops=50_000,
        num_hosts=2,
        clock=clock,
    )
    assert throughput.report() == {}
    # The first dispatch compiles: the time until its end is not counted.
    dispatch(throughput, clock, wait=5, work=60)
    for seconds in range(1, 11):
        dispatch(throughput, clock, wait=0.25, work=0.5)
        finish(throughput, clock, seconds - 0.75)
    # An eleventh step is under way.
    found = throughput.report()
    assert found.pop("tokens_per_second") == pytest.approx(2 * 10_000 / 55, rel=1e-4)
    assert found.pop("input_wait") == pytest.approx(2.5 / 55, rel=1e-4)
    assert found.pop("mfu") == pytest.approx(2 * 150_000 / (55 * 50_000), rel=1e-4)
    assert found == {
        "step_seconds_p50": 5.5,
        "step_seconds_p90": 9.1,
        "step_seconds_p99": 9.91,
        "step_seconds_max": 10.0,
    }
    assert throughput.report() == {}
    # The next window is of its own time alone, and of step 11.
    finish(throughput, clock, 4)
    assert throughput.report()["tokens_per_second"] == 500


def test_a_host_that_runs_ahead_reports_the_rate_of_the_device(clock):
    throughput = Throughput(clock=clock)
    for _ in range(10):
        dispatch(throughput, clock)
    for _ in range(10):
        finish(throughput, clock, 3)
    found = throughput.report()
    assert found["tokens_per_second"] == pytest.approx(1000 / 3, rel=1e-4)
    assert found["step_seconds_p50"] == found["step_seconds_max"] == 3


def test_what_stands_apart_is_no_part_of_a_step(clock):
    throughput = Throughput(clock=clock)
    dispatch(throughput, clock)
    finish(throughput, clock, 2)
    with pytest.raises(ZeroDivisionError), throughput.apart():
        clock.now += 1000
        _ = 1 / 0
    assert throughput.report()["tokens_per_second"] == 500
    with throughput.apart():
        clock.now += 50
    dispatch(throughput, clock, wait=1, work=1)
    finish(throughput, clock, 2)
    found = throughput.report()
    assert found["tokens_per_second"] == found["input_wait"] * 1000 == 250
    assert found["step_seconds_max"] == 4


@pytest.mark.parametrize("given", [{}, {"peak_flops": 1e12}, {"flops": lambda counts: 1.0}])
def test_no_mfu_of_an_unknown_chip_or_model(clock, given):
    throughput = Throughput(clock=clock, **given)
    dispatch(throughput, clock)
    finish(throughput, clock, 1)
    found = throughput.report()
    assert "mfu" not in found and set(found) < set(MEASURED)


@pytest.fixture
def progress(monkeypatch):
    """A Progress of ten steps with a line every 15 s, what it says, and its clock."""
    said, now = [], [0.0]
    monkeypatch.setattr("biobert_jax.training.metrics.time.monotonic", lambda: now[0])
    progress = Progress(0, 10)
    progress.say = said.append
    return progress, said, now


def test_the_first_line_has_a_rate(progress):
    progress, said, now = progress
    now[0] = 20.0
    progress.advance(1, 500)  # compiled
    now[0] = 60.0
    progress.advance(2, 500)
    assert said == [
        "step 1/10  after 20 s, with compiling",
        "step 2/10  12 tokens/s  0:05:20 left",
    ]


def test_a_loss_that_is_shown_again_has_its_step(progress):
    progress, said, now = progress
    for step in range(1, 5):
        now[0] = 16.0 * step
        if step == 3:
            progress.show(2, {"loss": 8.25})
        progress.advance(step, 160)
    assert said[2:] == [
        "step 3/10  loss 8.2500 (step 2)  10 tokens/s  0:01:52 left",
        "step 4/10  loss 8.2500 (step 2)  10 tokens/s  0:01:36 left",
    ]


def test_the_last_step_has_a_loss(progress):
    progress, said, now = progress
    progress.advance(9, 1)
    now[0] = 0.5
    progress.advance(10, 100)
    progress.show(10, {"loss": 2.0})
    assert said == ["step 10/10  loss 2.0000  202 tokens/s"]
