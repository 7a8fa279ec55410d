"""Schedules: upstream's to the letter, and what every one of them promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.config import OptimizerConfig
from biobert_jax.errors import UserError
from biobert_jax.training.schedule import learning_rate, warmup_steps


def upstream_rate(step, peak, warmup, total):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 - min(step, total) / total)


def rates(config, num_steps, steps):
    """The rates of some steps, computed over as many as any test has: one shape for all."""
    padded = np.zeros(1024, np.int32)
    padded[: len(steps)] = steps
    schedule = jax.vmap(learning_rate(config, num_steps))
    return np.array(schedule(jnp.asarray(padded)))[: len(steps)]


@st.composite
def runs(draw, schedules):
    """A config and a number of updates that fit together."""
    num_steps = draw(st.integers(10, 400))
    name = draw(st.sampled_from(schedules))
    config = OptimizerConfig(
        schedule=name,
        learning_rate=draw(st.floats(1e-5, 1.0)),
        warmup_steps=draw(st.integers(0, num_steps // 2)),
        power=draw(st.sampled_from([0.5, 1.0, 2.0])),
        decay_fraction=draw(st.floats(0.1, 0.5)),
        end_fraction=0.0 if name == "constant" else draw(st.sampled_from([0.0, 0.1, 1.0])),
    )
    decay = round(config.decay_fraction * num_steps)
    if name == "wsd" and config.warmup_steps + decay > num_steps:
        config = dataclasses.replace(config, warmup_steps=0)
    return config, num_steps


def test_polynomial_is_upstreams_at_every_step():
    schedule = learning_rate(OptimizerConfig(learning_rate=2.0, warmup_steps=10), 100)
    schedule = jax.jit(schedule)
    for step in range(101):
        assert float(schedule(step)) == pytest.approx(upstream_rate(step, 2.0, 10, 100), abs=1e-6)


def test_polynomial_without_an_end_rate_has_not_moved_by_a_bit():
    config = OptimizerConfig(learning_rate=3e-4, warmup_steps=7, power=0.7)
    step = jnp.arange(120, dtype=jnp.float32)
    left = jnp.clip(1.0 - step / 100, 0.0, 1.0) ** 0.7
    expected = 3e-4 * jnp.where(step < 7, step / 7, left)
    np.testing.assert_array_equal(learning_rate(config, 100)(jnp.arange(120)), expected)


def test_power_and_warmup_fraction():
    config = OptimizerConfig(learning_rate=1.0, warmup_fraction=0.2, power=0.5)
    schedule = learning_rate(config, 50)
    assert float(schedule(5)) == pytest.approx(0.5)
    assert float(schedule(32)) == pytest.approx((1 - 32 / 50) ** 0.5)


@settings(max_examples=60)
@given(runs(["polynomial", "cosine", "wsd", "constant"]))
def test_bounds_ends_and_monotone_parts(run):
    config, num_steps = run
    found = rates(config, num_steps, np.arange(num_steps + 50))
    peak, warmup = config.learning_rate, config.warmup_steps
    end = peak if config.schedule == "constant" else peak * config.end_fraction
    assert found.dtype == np.float32
    assert (found >= 0).all() and (found <= peak * (1 + 1e-6)).all()
    np.testing.assert_allclose(found[:warmup], peak * np.arange(warmup) / max(warmup, 1), rtol=1e-5)
    assert (np.diff(found[warmup:]) <= 1e-6 * peak).all()
    np.testing.assert_allclose(found[num_steps:], end, rtol=1e-5, atol=1e-6 * peak)
    if config.schedule != "polynomial":
        assert found[warmup] == pytest.approx(peak)


@settings(max_examples=60)
@given(runs(["polynomial", "cosine", "wsd", "constant"]))
def test_the_rate_never_jumps(run):
    """Whatever rows a step has: upstream's drop behind the warm-up is the only one there is."""
    config, num_steps = run
    config = dataclasses.replace(config, power=max(config.power, 1.0))  # a root is steep at its end
    found = rates(config, num_steps, np.arange(num_steps + 10))
    jumps = np.abs(np.diff(found))
    # The steepest that each part may be: a line, or the middle of half a cosine.
    after = num_steps - config.warmup_steps
    if config.schedule == "wsd":
        after = round(config.decay_fraction * num_steps)
    slope = np.pi / 2 / after
    if config.schedule == "polynomial":
        slope = config.power / num_steps
        jumps = np.delete(jumps, max(config.warmup_steps - 1, 0))
    steepest = max(1 / max(config.warmup_steps, 1), slope)
    assert jumps.max() <= config.learning_rate * (steepest + 1e-5)


@settings(max_examples=30)
@given(runs(["wsd"]), st.integers(1, 200))
def test_wsd_before_its_decay_does_not_know_how_long_the_run_is(run, longer):
    config, num_steps = run
    stable = num_steps - round(config.decay_fraction * num_steps)
    steps = np.arange(min(stable, num_steps))
    # A longer run begins its decay later, and is the same until then.
    np.testing.assert_array_equal(
        rates(config, num_steps, steps), rates(config, num_steps + 2 * longer, steps)
    )


def test_cosine_and_wsd_are_optaxs_and_a_line():
    config = OptimizerConfig(
        learning_rate=0.5, schedule="cosine", warmup_steps=20, end_fraction=0.1
    )
    reference = optax.warmup_cosine_decay_schedule(0.0, 0.5, 20, 100, 0.05)
    steps = np.arange(110)
    np.testing.assert_allclose(rates(config, 100, steps), reference(steps), rtol=1e-6)
    config = dataclasses.replace(config, schedule="wsd", decay_fraction=0.3)
    points = [(0, 0), (20, 0.5), (70, 0.5), (100, 0.05), (110, 0.05)]
    expected = np.interp(steps, *zip(*points, strict=True))
    np.testing.assert_allclose(rates(config, 100, steps), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup_steps": 60}, "warmup_steps 60 is not below the run's 50 steps"),
        ({"warmup_fraction": 1.0}, r"warmup_fraction 1.0 \(50 steps\)"),
        ({"warmup_steps": -1}, "warmup_steps is -1"),
        ({"schedule": "constant", "end_fraction": 0.1}, "end_fraction is 0.1"),
        ({"schedule": "wsd", "decay_fraction": 0.001}, "decay_fraction 0.001"),
        ({"schedule": "wsd", "warmup_steps": 30, "decay_fraction": 0.5}, "25 of decay"),
    ],
)
def test_what_leaves_no_room_is_refused(values, message):
    with pytest.raises(UserError, match=message) as error:
        learning_rate(OptimizerConfig(**values), 50)
    assert "\n" not in str(error.value)


def test_warmup_steps():
    assert warmup_steps(OptimizerConfig(warmup_steps=3, warmup_fraction=0.5), 10) == 3
    assert warmup_steps(OptimizerConfig(warmup_fraction=0.5), 10) == 5
