"""The profiler: a trace of the right steps, whole however the run ends."""

import jax
import jax.numpy as jnp
import pytest

from biobert_jax.training.profile import SKIPPED_STEPS, TRACED_STEPS, Profiler


@pytest.fixture
def calls(monkeypatch):
    """What is asked of JAX's profiler."""
    calls = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: calls.append("start"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: calls.append("stop"))
    return calls


def run(profiler, calls, steps):
    for step in steps:
        with profiler.step(step, jnp.zeros(())):
            calls.append(step)


def test_steps_after_the_compilation_are_traced(calls, tmp_path):
    said = []
    profiler = Profiler(tmp_path, 100, said.append)
    run(profiler, calls, range(100, 130))
    profiler.close()
    first = 100 + SKIPPED_STEPS
    start, stop = calls.index("start"), calls.index("stop")
    assert calls[start + 1 : stop] == list(range(first, first + TRACED_STEPS))
    assert calls.count("start") == calls.count("stop") == len(said) == 1
    assert str(tmp_path / "profile") in said[0]


def test_a_run_that_ends_early(calls, tmp_path):
    said = []
    profiler = Profiler(tmp_path, 0, said.append)
    run(profiler, calls, range(12))
    profiler.close()
    profiler.close()
    assert calls[-1] == "stop" and len(said) == 1

    profiler = Profiler(tmp_path, 0, said.append)
    run(profiler, calls, range(3))
    profiler.close()
    assert calls.count("start") == 1 and "ended before step 10" in said[-1]


def test_a_step_that_fails_leaves_the_trace_to_close(calls, tmp_path):
    profiler = Profiler(tmp_path, 0, print)
    run(profiler, calls, range(11))
    with pytest.raises(ValueError), profiler.step(11, jnp.zeros(())):
        raise ValueError
    profiler.close()
    assert calls.count("stop") == 1


def test_it_does_nothing_unasked(calls, tmp_path):
    profiler = Profiler(tmp_path, 0, calls.append, enabled=False)
    run(profiler, calls, range(20))
    profiler.close()
    assert calls == list(range(20))


def test_a_real_trace(tmp_path):
    multiply = jax.jit(lambda x: x @ x)
    profiler = Profiler(tmp_path, 0, print)
    state = jnp.ones((8, 8))
    for step in range(SKIPPED_STEPS + TRACED_STEPS + 1):
        with profiler.step(step, state):
            state = multiply(state)
    profiler.close()
    [trace] = (tmp_path / "profile").rglob("*.xplane.pb")
    assert trace.stat().st_size > 0
